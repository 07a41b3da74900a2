//! Addresses of log viewers: each supervisor's host has one (control-plane 11.2).
//!
//! Whether one runs there is not known here.

use serde_json::{Map, Value, json};

use crate::conf::{Conf, ConfError, keys};
use crate::percent::{encode, encode_part};

/// Where the daemons of a cluster log to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonLogs {
    /// Each to the file of its name, as Storm's.
    OfEach,
    /// All to this one, since they are one process.
    InOne(&'static str),
}

/// Scheme and port of all log viewers; none where they have no port, or one that only the system
/// knows: then there are no links.
#[derive(Clone, Debug)]
pub(in crate::ui) struct Links {
    viewer: Option<(&'static str, u16)>,
    daemons: DaemonLogs,
}

// === impl Links ===

impl Links {
    pub fn new(conf: &Conf, daemons: DaemonLogs) -> Result<Self, ConfError> {
        let https = conf.int_or(keys::LOGVIEWER_HTTPS_PORT, -1)?;
        let http = conf.int_or(keys::LOGVIEWER_PORT, 8000)?;
        let is_http_closed = https >= 0
            && conf
                .flag(keys::LOGVIEWER_DISABLE_HTTP_BINDING)?
                .unwrap_or(true);
        let schemes = [
            ("https", Some(https)),
            ("http", Some(http).filter(|_| !is_http_closed)),
        ];
        let known = schemes.into_iter().find_map(|(scheme, port)| {
            let port = u16::try_from(port?).ok().filter(|port| *port > 0)?;
            Some((scheme, port))
        });
        Ok(Links {
            viewer: known,
            daemons,
        })
    }

    /// Puts port and scheme on a page.
    pub fn sign(&self, page: &mut Map<String, Value>) {
        let (scheme, port) = self.viewer.unzip();
        page.insert("logviewerPort".to_owned(), json!(port));
        page.insert("logviewerScheme".to_owned(), json!(scheme));
    }

    /// A worker's log.
    pub fn worker_log(&self, host: &str, port: i32, topology: &str) -> Option<String> {
        self.log(host, &format!("{topology}/{port}/worker.log"))
    }

    /// The tuples that an event logger wrote.
    pub fn events(&self, host: &str, port: i32, topology: &str) -> Option<String> {
        self.log(host, &format!("{topology}/{port}/events.log"))
    }

    /// The log of a daemon that would write `file` if it were alone.
    pub fn daemon_log(&self, host: &str, file: &str) -> Option<String> {
        let file = match self.daemons {
            DaemonLogs::OfEach => file,
            DaemonLogs::InOne(file) => file,
        };
        self.address(host, &format!("daemonlog?file={}", encode(file)))
    }

    /// A worker's dumps and profiles.
    pub fn dumps(&self, host: &str, port: &str, topology: &str) -> Option<String> {
        let worker = encode_part(&format!("{host}:{port}"));
        let topology = encode_part(topology);
        self.address(host, &format!("dumps/{topology}/{worker}"))
    }

    fn log(&self, host: &str, file: &str) -> Option<String> {
        self.address(host, &format!("log?file={}", encode(file)))
    }

    fn address(&self, host: &str, place: &str) -> Option<String> {
        let (scheme, port) = self.viewer?;
        let host = encode(host);
        Some(format!("{scheme}://{host}:{port}/api/v1/{place}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: &[(&str, i64)], expected: Option<&str>) {
        let conf = settings.iter().fold(Conf::new(), |conf, (key, value)| {
            match *key == keys::LOGVIEWER_DISABLE_HTTP_BINDING {
                true => conf.with(key, *value != 0),
                false => conf.with(key, *value),
            }
        });
        let links = Links::new(&conf, DaemonLogs::OfEach).expect("a conf");
        let link = links.worker_log("h", 6700, "t-1-1");
        let expected =
            expected.map(|site| format!("{site}/api/v1/log?file=t-1-1%2F6700%2Fworker.log"));
        assert_eq!(link, expected, "{settings:?}");
    }

    #[test]
    fn a_link_leads_to_a_port_that_is_open_or_is_not_there() {
        let (http, https) = (keys::LOGVIEWER_PORT, keys::LOGVIEWER_HTTPS_PORT);
        let closed = keys::LOGVIEWER_DISABLE_HTTP_BINDING;
        check(&[], Some("http://h:8000"));
        check(&[(http, 0)], None);
        check(&[(http, -1)], None);
        check(&[(http, 8000), (https, 8443)], Some("https://h:8443"));
        check(&[(http, -1), (https, 8443)], Some("https://h:8443"));
        check(&[(http, 8000), (https, 0)], None);
        check(&[(http, 8000), (https, -1)], Some("http://h:8000"));
        let both = [(http, 8000), (https, 0), (closed, 0)];
        check(&both, Some("http://h:8000"));
    }

    #[test]
    fn daemons_of_one_process_have_one_log() {
        let log_of = |daemons| {
            let links = Links::new(&Conf::new(), daemons).expect("a conf");
            links.daemon_log("h", "nimbus.log")
        };
        let at = |file| Some(format!("http://h:8000/api/v1/daemonlog?file={file}"));
        assert_eq!(log_of(DaemonLogs::OfEach), at("nimbus.log"));
        assert_eq!(log_of(DaemonLogs::InOne("dev.log")), at("dev.log"));
    }
}
