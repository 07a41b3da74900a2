//! Against a Nimbus that has blobs and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::*;
use crate::auth::door::Key;
use crate::blob::Crc32c;
use crate::conf::Conf;
use crate::rpc::Caller;
use crate::rpc::client::Address;
use crate::rpc::server::{Endpoint, Limits, Running, Server};
use crate::supervisor::blob_cache::CacheSettings;
use crate::wire::messages::BlobChunk;
use crate::wire::messages::coordination::{Dispatcher, ReadBlobError, Service};
use crate::wire::storm::KeyNotFoundException;

/// Its blobs have some pieces each. After the first piece of the conf that it gives out, it has
/// another conf.
#[derive(Default)]
struct Nimbus {
    has_changed: AtomicBool,
    is_damaged: bool,
}

// === impl Nimbus ===

impl Nimbus {
    fn content(&self, key: &str) -> Option<Vec<u8>> {
        let byte = match self.has_changed.load(Ordering::SeqCst) {
            true => b'n',
            false => b'o',
        };
        (!key.ends_with("-stormjar.jar")).then(|| vec![byte; 1000 * 1000])
    }
}

impl Service for Nimbus {
    async fn read_blob(
        &self,
        _: &Caller,
        key: Option<String>,
        offset: Option<i64>,
        length: Option<i32>,
        _: Option<String>,
    ) -> Result<BlobChunk, ReadBlobError> {
        let key = key.unwrap_or_default();
        let content = self.content(&key);
        let content = content.ok_or_else(KeyNotFoundException::default)?;
        let mut crc = Crc32c::new();
        crc.update(&content);
        let from = usize::try_from(offset.unwrap_or(0)).expect("not negative");
        let n_bytes = usize::try_from(length.unwrap_or(0)).expect("not negative");
        let to = content.len().min(from + n_bytes);
        let data = match self.is_damaged {
            true => vec![b'?'; to - from],
            false => content[from..to].to_vec(),
        };
        if key.ends_with("-stormconf.ser") && to > from {
            self.has_changed.store(true, Ordering::SeqCst);
        }
        Ok(BlobChunk {
            data: Bytes::from(data),
            total: i64::try_from(content.len()).expect("small"),
            version: i64::from(crc.value()),
        })
    }
}

struct Fixture {
    localizer: Localizer,
    _directory: tempfile::TempDir,
    running: Running,
}

// === impl Fixture ===

impl Fixture {
    async fn new(nimbus: Nimbus) -> Self {
        let endpoint = Endpoint {
            service: "test",
            host: "127.0.0.1".to_owned(),
            port: 0,
            port_key: "test.port",
        };
        let server = Server::bind(&endpoint, Limits::default()).await;
        let running = server
            .expect("a port")
            .serve(Arc::new(Dispatcher(Arc::new(nimbus))));
        let directory = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(directory.path().to_owned(), directory.path().join("logs"));
        fs::create_dir_all(layout.all_code()).expect("room");
        let address = Address::new("127.0.0.1", running.address().port());
        let link = Link::new(vec![address], Key::default());
        // Links to blobs are off: the code that comes here is none.
        let conf = Conf::defaults().with(crate::conf::keys::DISABLE_SYMLINKS, true);
        let settings = CacheSettings::read(&conf).expect("defaults");
        let cache = BlobCache::new(settings, layout.clone(), link.clone());
        Fixture {
            localizer: Localizer::new(layout, link, cache),
            _directory: directory,
            running,
        }
    }

    fn conf(&self) -> Vec<u8> {
        let place = self.localizer.layout.code(&topology());
        fs::read(place.join("stormconf.ser")).expect("fetched")
    }
}

fn topology() -> TopologyId {
    TopologyId::new("t-1-1")
}

#[tokio::test]
async fn what_changes_while_it_is_fetched_comes_whole() {
    let fixture = Fixture::new(Nimbus::default()).await;
    let fetched = fixture.localizer.localize(&topology(), 1).await;
    fetched.expect("fetched");
    let conf = fixture.conf();
    assert_eq!(conf.len(), 1000 * 1000);
    assert!(conf.iter().all(|byte| *byte == b'n'), "of two versions");
    fixture.running.drain().await;
}

#[tokio::test]
async fn what_came_damaged_is_not_kept() {
    let nimbus = Nimbus {
        is_damaged: true,
        ..Nimbus::default()
    };
    let fixture = Fixture::new(nimbus).await;
    let fetched = fixture.localizer.localize(&topology(), 1).await;
    let error = fetched.expect_err("damaged").to_string();
    assert!(error.contains("t-1-1-stormcode.ser"), "{error}");
    let left = fs::read_dir(fixture.localizer.layout.all_code()).expect("there");
    assert_eq!(left.count(), 0);
    fixture.running.drain().await;
}

/// One slot wants a topology while the files of another are still on their way.
#[tokio::test]
async fn two_who_want_the_same_files_fetch_them_one_after_the_other() {
    let fixture = Fixture::new(Nimbus::default()).await;
    let topology = topology();
    let (one, other) = tokio::join!(
        fixture.localizer.localize(&topology, 1),
        fixture.localizer.localize(&topology, 2),
    );
    one.expect("fetched");
    other.expect("fetched");
    let place = fixture.localizer.layout.code(&topology);
    let epoch = fs::read_to_string(place.join(EPOCH)).expect("written");
    assert_eq!(epoch, "2");
    fixture.running.drain().await;
}
