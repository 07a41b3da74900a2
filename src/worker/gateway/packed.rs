//! Tuples inside calls and replies of peers, packed as their session agreed.
//!
//! What is large goes through its codec on a thread of the pool: other peers' calls do not wait
//! behind it, nor does the worker's line to Nimbus.

use bytes::Bytes;

use crate::component::gateway::hall::{BoltReply, DeskError};
use crate::messaging::peer_packing::{self, PACK_AT_ONCE_BYTES, PeerPacking};
use crate::wire;
use crate::wire::messages::{
    GatewayColumns, GatewayDelivered, GatewayDelivery, GatewayEmitted, GatewayForm, GatewayMessage,
    PackedFrame,
};

/// What a call emits.
pub type Emitted = (Option<Vec<GatewayMessage>>, Option<Vec<GatewayColumns>>);

/// What a call emits, unpacked if it came packed.
pub async fn emitted(
    agreed: Option<PeerPacking>,
    plain: Emitted,
    packed: Option<PackedFrame>,
) -> Result<Emitted, DeskError> {
    let Some(packed) = packed else {
        return Ok(plain);
    };
    if plain.0.is_some() || plain.1.is_some() {
        let text = "tuples come packed or as they are, not both in one call";
        return Err(DeskError::BadRequest(text.to_owned()));
    }
    let is_small = usize::try_from(packed.plain_length).is_ok_and(|n| n <= PACK_AT_ONCE_BYTES);
    let unpack = move || peer_packing::unpack::<GatewayEmitted>(agreed, &packed);
    let unpacked = match is_small {
        true => unpack(),
        false => tokio::task::spawn_blocking(unpack)
            .await
            .map_err(|error| DeskError::BadRequest(format!("unpacking broke off: {error}")))?,
    };
    let GatewayEmitted { messages, columns } = unpacked?;
    Ok((messages, columns))
}

/// What a bolt's peer gets, packed where that was agreed on and makes it smaller.
pub async fn delivery(reply: BoltReply) -> GatewayDelivery {
    let n_bytes = reply.runs.iter().map(|(_, run)| run.n_bytes()).sum();
    let n_tuples = reply.runs.iter().map(|(_, run)| run.len()).sum();
    let mut delivery = GatewayDelivery {
        tasks: reply.tasks.into_iter().map(|task| task.0).collect(),
        ..GatewayDelivery::default()
    };
    for (index, run) in reply.runs {
        match reply.form {
            GatewayForm::Columns => delivery.runs.push(run.into_columns(index)),
            GatewayForm::Tuples => run.into_tuples(index, &mut delivery.tuples),
        }
    }
    if let Some(packing) = reply.packing.filter(|one| one.wants(n_bytes, n_tuples)) {
        pack(packing, &mut delivery).await;
    }
    delivery
}

/// Leaves it as it is where it would not become smaller.
async fn pack(packing: PeerPacking, delivery: &mut GatewayDelivery) {
    let delivered = GatewayDelivered {
        tuples: Some(std::mem::take(&mut delivery.tuples)),
        runs: Some(std::mem::take(&mut delivery.runs)),
    };
    if let Ok(plain) = wire::to_bytes(&delivered) {
        delivery.packed = packed(packing, plain).await;
    }
    if delivery.packed.is_none() {
        delivery.tuples = delivered.tuples.unwrap_or_default();
        delivery.runs = delivered.runs.unwrap_or_default();
    }
}

async fn packed(packing: PeerPacking, plain: Bytes) -> Option<PackedFrame> {
    if plain.len() <= PACK_AT_ONCE_BYTES {
        return packing.pack(&plain);
    }
    let packing = tokio::task::spawn_blocking(move || packing.pack(&plain));
    packing.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::compress::Codec;
    use crate::messaging::packing::Packing;
    use crate::wire::messages::{GatewayColumn, GatewayRun};

    fn agreed() -> PeerPacking {
        let key = crate::conf::keys::STORMWIRE_LINK_COMPRESSION;
        let packing = Packing::of(&crate::conf::Conf::defaults().with(key, "always"));
        let offered = [Codec::Zlib.to_wire().into()];
        let agreed = packing.expect("known").agree_with_peer(&offered);
        agreed.expect("on")
    }

    fn run(n: i64) -> GatewayRun {
        GatewayRun {
            columns: vec![GatewayColumn::Longs((0..n).collect())],
            ..GatewayRun::default()
        }
    }

    #[tokio::test]
    async fn deliveries_of_all_sizes_are_packed_and_none_is_lost() {
        for n in [100, 100_000] {
            let mut delivery = GatewayDelivery {
                runs: vec![run(n)],
                ..GatewayDelivery::default()
            };
            pack(agreed(), &mut delivery).await;
            assert!(delivery.runs.is_empty());
            let packed = delivery.packed.expect("smaller");
            let unpacked = peer_packing::unpack::<GatewayDelivered>(Some(agreed()), &packed);
            assert_eq!(unpacked.expect("as agreed").runs, Some(vec![run(n)]));
        }
        let mut random = fastrand::Rng::with_seed(1);
        let noise: Bytes = std::iter::repeat_with(|| random.u8(..))
            .take(1000)
            .collect();
        let noise = GatewayRun {
            columns: vec![GatewayColumn::Blobs(vec![noise])],
            ..GatewayRun::default()
        };
        let mut delivery = GatewayDelivery {
            runs: vec![noise.clone()],
            ..GatewayDelivery::default()
        };
        pack(agreed(), &mut delivery).await;
        assert_eq!((delivery.runs, delivery.packed), (vec![noise], None));
    }

    #[tokio::test]
    async fn packed_tuples_stand_in_the_place_of_plain_ones() {
        let columns = GatewayColumns {
            columns: vec![GatewayColumn::Longs((0..50_000).collect())],
            ..GatewayColumns::default()
        };
        let sent = GatewayEmitted {
            columns: Some(vec![columns.clone()]),
            ..GatewayEmitted::default()
        };
        let plain = wire::to_bytes(&sent).expect("written");
        let packed = agreed().pack(&plain);
        let taken = emitted(Some(agreed()), (None, None), packed.clone()).await;
        assert_eq!(taken, Ok((None, Some(vec![columns.clone()]))));
        let both = (None, Some(vec![columns]));
        let refused = emitted(Some(agreed()), both, packed.clone()).await;
        assert!(refused.unwrap_err().to_string().contains("not both"));
        assert!(emitted(None, (None, None), packed).await.is_err());
    }
}
