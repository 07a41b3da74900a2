//! The cache on real files: what a link leads to, what is thrown away first, what stays.

use super::*;
use crate::auth::door::Key;
use crate::rpc::client::Address;

fn cache(directory: &Path, target_bytes: u64) -> BlobCache {
    let settings = CacheSettings {
        target_bytes,
        ..CacheSettings::read(&Conf::defaults()).expect("defaults")
    };
    let layout = Layout::new(directory.to_owned(), directory.join("logs"));
    // Nobody listens there: nothing is fetched in these tests.
    BlobCache::new(
        settings,
        layout,
        Link::new(vec![Address::new("127.0.0.1", 1)], Key::default()),
    )
}

fn place(cache: &BlobCache, user: &str, key: &str) -> Place {
    Place {
        directory: cache.shared.layout.file_cache(user).join("files"),
        key: key.to_owned(),
    }
}

/// A blob as if it had been fetched.
fn put(cache: &BlobCache, key: &str, version: i64, n_bytes: usize) -> Place {
    let place = place(cache, "user", key);
    fs::create_dir_all(&place.directory).expect("room");
    fs::write(place.version(version), vec![7; n_bytes]).expect("room");
    place.switch(version).expect("room");
    place
}

#[test]
fn a_switch_shows_the_new_version_through_the_same_link() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = cache(directory.path(), 1 << 20);
    let place = put(&cache, "words.txt", 5, 10);
    assert_eq!(
        (
            place.local(),
            fs::read(place.current()).expect("a link").len()
        ),
        (Some(5), 10)
    );
    put(&cache, "words.txt", 6, 20);
    assert_eq!(
        (
            place.local(),
            fs::read(place.current()).expect("a link").len()
        ),
        (Some(6), 20)
    );
    assert_eq!(
        fs::read_to_string(place.version_file()).expect("there"),
        "6\n"
    );
    // A version that is gone is not there, whatever the link says.
    fs::remove_file(place.version(6)).expect("there");
    assert_eq!(place.local(), None);
}

#[test]
fn old_versions_and_torn_downloads_go_and_what_is_on_its_way_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = cache(directory.path(), 1 << 20);
    let place = put(&cache, "a.1", 1, 10);
    put(&cache, "a.1", 2, 10);
    let torn = place.part();
    fs::write(&torn, "torn").expect("room");
    let coming = place.version(3);
    fs::write(&coming, "not shown yet").expect("room");
    lock(&cache.shared.pending).insert(coming.clone());
    cache.clean_up(&BTreeSet::new());
    assert!(!place.version(1).exists() && !torn.exists());
    assert!(place.version(2).exists() && coming.exists());
    assert_eq!(place.local(), Some(2));
}

#[test]
fn what_was_unused_for_longest_makes_room() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = cache(directory.path(), 250);
    let places = ["old", "needed", "new"].map(|key| put(&cache, key, 1, 100));
    for (place, used_ms) in places.iter().zip([1, 2, 3]) {
        lock(&cache.shared.used).insert(place.current(), used_ms);
    }
    let needed: BTreeSet<PathBuf> = [places[0].current(), places[1].current()].into();
    cache.clean_up(&needed);
    let there = places.each_ref().map(|place| place.local().is_some());
    assert_eq!(there, [true, true, false], "only what nobody needs may go");
    put(&cache, "new", 1, 100);
    lock(&cache.shared.used).insert(places[2].current(), 3);
    cache.clean_up(&[places[1].current()].into());
    let there = places.each_ref().map(|place| place.local().is_some());
    assert_eq!(there, [false, true, true]);
    assert!(
        entries(&places[0].directory)
            .iter()
            .all(|path| !path.ends_with("old.version"))
    );
}

#[test]
fn users_do_not_share_and_no_name_leads_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = cache(directory.path(), 0);
    let caches = cache.shared.layout.user_caches();
    for user in ["../../etc", "a/b", ".."] {
        let place = place(&cache, user, "k");
        let inside = place.current();
        let inside = inside.strip_prefix(&caches).expect("below the caches");
        assert_eq!(
            inside.components().count(),
            4,
            "{user}: {}",
            inside.display()
        );
    }
}

#[test]
fn turns_that_nobody_takes_are_forgotten() {
    let directory = tempfile::tempdir().expect("a directory");
    let cache = cache(directory.path(), 0);
    let held = cache.turn(&place(&cache, "user", "held"));
    for n in 0..10 {
        cache.turn(&place(&cache, "user", &format!("dep-{n}.jar")));
    }
    assert_eq!(lock(&cache.shared.fetching).len(), 2);
    assert!(Arc::ptr_eq(
        &held,
        &cache.turn(&place(&cache, "user", "held"))
    ));
}
