//! Did every tuple arrive? Feeds a `stormwire.testing.LedgerSpout`, reads what the sinks wrote,
//! compares.
//!
//! An id that was fed and is in no sink's file is lost; one that a sink wrote and nobody fed is
//! invented; one that was written more often than once is a duplicate, as at-least-once allows.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The files of one run, below a directory: the source, the spout's positions, the sinks' ledgers.
pub struct Ledger {
    dir: PathBuf,
    source: File,
    n_fed: u64,
    deal: Deal,
}

/// How ids are dealt out to partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deal {
    /// Seven partitions in turn.
    #[default]
    Even,
    /// Nine of ten ids go to partition 0, the others to six partitions in turn.
    Hot,
}

/// One line of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Of the id, from 0 in the order of feeding.
    pub number: u64,
    pub partition: u64,
    pub attempt: u64,
}

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub n_fed: u64,
    pub n_lost: u64,
    pub n_invented: u64,
    pub n_duplicates: u64,
}

// === impl Ledger ===

impl Ledger {
    /// A new run's files.
    pub fn create(dir: &Path) -> io::Result<Self> {
        Self::create_dealt(dir, Deal::Even)
    }

    /// The same for ids that are dealt out so.
    pub fn create_dealt(dir: &Path, deal: Deal) -> io::Result<Self> {
        fs::create_dir_all(dir.join("sink"))?;
        fs::create_dir_all(dir.join("position"))?;
        let source = File::create(dir.join("source"))?;
        Ok(Ledger {
            dir: dir.to_owned(),
            source,
            n_fed: 0,
            deal,
        })
    }

    /// `LedgerSpout`'s first argument.
    pub fn source(&self) -> PathBuf {
        self.dir.join("source")
    }

    /// `LedgerSpout`'s second argument.
    pub fn positions(&self) -> PathBuf {
        self.dir.join("position")
    }

    /// `LedgerSink`'s argument.
    pub fn sink(&self) -> PathBuf {
        self.dir.join("sink")
    }

    /// Appends so many new ids.
    pub fn feed(&mut self, n_ids: u64) -> io::Result<()> {
        let mut lines = String::new();
        for number in self.n_fed..self.n_fed + n_ids {
            let (partition, seq) = self.deal.id(number);
            lines.push_str(&format!("{partition} {seq}\n"));
        }
        self.source.write_all(lines.as_bytes())?;
        self.n_fed += n_ids;
        Ok(())
    }

    pub fn n_fed(&self) -> u64 {
        self.n_fed
    }

    /// How many ids the spout knows to be acked, over all its tasks.
    pub fn n_committed(&self) -> u64 {
        let files = fs::read_dir(self.positions())
            .into_iter()
            .flatten()
            .flatten();
        let positions = files.filter_map(|file| {
            let is_position = file.path().extension().is_some_and(|end| end == "position");
            let text = is_position.then(|| fs::read_to_string(file.path()).ok())??;
            text.trim().parse::<u64>().ok()
        });
        positions.sum()
    }

    /// How many bytes the sinks have written: grows while anything arrives.
    pub fn n_sunk_bytes(&self) -> u64 {
        let files = fs::read_dir(self.sink()).into_iter().flatten().flatten();
        files
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum()
    }

    /// Compares what was fed with what arrived.
    pub fn check(&self) -> io::Result<Verdict> {
        let mut times: HashMap<(u64, u64), u64> = HashMap::new();
        for file in fs::read_dir(self.sink())? {
            for line in fs::read_to_string(file?.path())?.lines() {
                if let Some(([partition, seq], _)) = read_line(line) {
                    *times.entry((partition, seq)).or_default() += 1;
                }
            }
        }
        let mut verdict = Verdict {
            n_fed: self.n_fed,
            ..Verdict::default()
        };
        for number in 0..self.n_fed {
            match times.remove(&self.deal.id(number)) {
                None => verdict.n_lost += 1,
                Some(n_times) => verdict.n_duplicates += n_times - 1,
            }
        }
        verdict.n_invented = times.values().sum();
        Ok(verdict)
    }

    /// What each task of the sink got, in its order. Whole once `check` found nothing invented.
    pub fn arrivals(&self) -> io::Result<Vec<Vec<Arrival>>> {
        let mut tasks = Vec::new();
        for file in fs::read_dir(self.sink())? {
            let text = fs::read_to_string(file?.path())?;
            let arrival = |line| {
                let ([partition, seq], attempt) = read_line(line)?;
                Some(Arrival {
                    number: self.deal.number(partition, seq),
                    partition,
                    attempt,
                })
            };
            tasks.push(text.lines().filter_map(arrival).collect());
        }
        Ok(tasks)
    }
}

// === impl Deal ===

impl Deal {
    /// Partition and seq of the id with this number.
    fn id(self, number: u64) -> (u64, u64) {
        match self {
            Deal::Even => (number % N_PARTITIONS, number / N_PARTITIONS),
            Deal::Hot if !number.is_multiple_of(10) => (0, number),
            Deal::Hot => (1 + number / 10 % (N_PARTITIONS - 1), number),
        }
    }

    fn number(self, partition: u64, seq: u64) -> u64 {
        match self {
            Deal::Even => seq * N_PARTITIONS + partition,
            Deal::Hot => seq,
        }
    }
}

/// Id and attempt of a sink's line `partition seq attempt task .`; none for one that a crash cut
/// short, which was not acked either.
fn read_line(line: &str) -> Option<([u64; 2], u64)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [partition, seq, attempt, _task, "."] = words[..] else {
        return None;
    };
    let id = [partition.parse().ok()?, seq.parse().ok()?];
    Some((id, attempt.parse().ok()?))
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict {
            n_fed,
            n_lost,
            n_invented,
            n_duplicates,
        } = self;
        write!(
            f,
            "ids {n_fed}, lost {n_lost}, invented {n_invented}, duplicates {n_duplicates}"
        )
    }
}

/// Partitions that ids are dealt out to.
const N_PARTITIONS: u64 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_dealt_out_once() {
        for deal in [Deal::Even, Deal::Hot] {
            let ids: Vec<_> = (0..1000).map(|number| deal.id(number)).collect();
            let numbers = ids
                .iter()
                .map(|(partition, seq)| deal.number(*partition, *seq));
            assert!(numbers.eq(0..1000));
            let partitions: std::collections::BTreeSet<_> = ids.iter().map(|id| id.0).collect();
            assert!(partitions.into_iter().eq(0..N_PARTITIONS));
        }
    }

    #[test]
    fn counts_what_is_lost_invented_and_doubled() {
        let dir = tempfile::tempdir().expect("dir");
        let mut ledger = Ledger::create(dir.path()).expect("files");
        ledger.feed(8).expect("fed");
        assert_eq!(
            fs::read_to_string(ledger.source())
                .expect("source")
                .lines()
                .last(),
            Some("0 1")
        );
        let seen = "0 0 1 3 .\n1 0 1 3 .\n1 0 2 3 .\n2 0 1 3 .\n3 0 1 3 .\n4 0 1 3 .\n5 0 1 3 .\n";
        fs::write(ledger.sink().join("3.ledger"), seen).expect("sink");
        // A torn line is not there, an id beyond the fed ones is invented.
        fs::write(
            ledger.sink().join("4.ledger"),
            "0 1 1 4 .\n6 9 1 4 .\n6 0 1 4",
        )
        .expect("sink");
        let verdict = ledger.check().expect("verdict");
        let expected = Verdict {
            n_fed: 8,
            n_lost: 1,
            n_invented: 1,
            n_duplicates: 1,
        };
        assert_eq!(verdict, expected);
        let arrivals = ledger.arrivals().expect("arrivals").concat();
        let doubled: Vec<_> = arrivals.iter().filter(|a| a.number == 1).collect();
        assert_eq!((doubled[0].attempt, doubled[1].attempt), (1, 2));
        fs::write(ledger.positions().join("0.position"), "5\n").expect("position");
        fs::write(ledger.positions().join("1.position"), "2").expect("position");
        assert_eq!(ledger.n_committed(), 7);
    }
}
