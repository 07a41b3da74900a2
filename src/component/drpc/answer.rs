//! Brings results and failures to one DRPC server: in order, over one connection, three tries each
//! as in Storm.
//!
//! Knows no tuples: whoever answers gives a number and gets it back when the answer arrived.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::access::Access;
use crate::component::Waker;
use crate::rpc::Failure;
use crate::rpc::client::{Address, ClientOptions, Connection};
use crate::wire::storm::distributed_rpc_invocations::{Client, FailRequestError, ResultError};

/// The way to one server. Ends when it is dropped and everything is said.
#[derive(Clone)]
pub struct Answering(mpsc::Sender<Answer>);

/// What to say of a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Comes back with what became of it.
    pub number: u64,
    /// Of the request, as the server gave it.
    pub id: String,
    pub word: Word,
}

#[derive(Clone, Debug)]
pub enum Word {
    Result(Option<String>),
    Failed,
}

/// What became of answers, for the executor that gave them.
pub struct Told {
    list: Mutex<Vec<(u64, Result<(), String>)>>,
    waker: Waker,
}

/// A connection to the server, while there is one.
struct Line {
    server: Address,
    access: Access,
    client: Option<Client<Connection>>,
}

/// Why an answer did not arrive.
enum Unsaid {
    /// Another try may do better.
    Lost(String),
    Refused(String),
}

// === impl Answering ===

impl Answering {
    pub fn start(
        runtime: &tokio::runtime::Handle,
        server: Address,
        access: Access,
        told: Arc<Told>,
    ) -> Self {
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        let line = Line {
            server,
            access,
            client: None,
        };
        runtime.spawn(run(line, answers, told));
        Answering(sender)
    }

    /// False when more than `ANSWERS_MAX` wait already.
    pub fn say(&self, answer: Answer) -> bool {
        self.0.try_send(answer).is_ok()
    }
}

// === impl Told ===

impl Told {
    pub fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Told {
            list: Mutex::default(),
            waker,
        })
    }

    /// What became of answers since the last look.
    pub fn take(&self) -> Vec<(u64, Result<(), String>)> {
        std::mem::take(&mut *self.lock())
    }

    fn tell(&self, number: u64, outcome: Result<(), String>) {
        self.lock().push((number, outcome));
        self.waker.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Result<(), String>)>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(mut line: Line, mut answers: mpsc::Receiver<Answer>, told: Arc<Told>) {
    while let Some(answer) = answers.recv().await {
        let mut outcome = line.say(&answer).await;
        for n_tries in 1..TRIES {
            if !matches!(outcome, Err(Unsaid::Lost(_))) {
                break;
            }
            sleep(RETRY_PAUSE * n_tries).await;
            outcome = line.say(&answer).await;
        }
        let lost = match outcome {
            Ok(()) => {
                told.tell(answer.number, Ok(()));
                continue;
            }
            Err(Unsaid::Refused(reason)) => {
                told.tell(answer.number, Err(reason));
                continue;
            }
            Err(Unsaid::Lost(reason)) => reason,
        };
        told.tell(answer.number, Err(lost.clone()));
        // The server is away, and its requests with it: the others do not wait as long each.
        while let Ok(answer) = answers.try_recv() {
            told.tell(answer.number, Err(lost.clone()));
        }
    }
}

// === impl Line ===

impl Line {
    async fn say(&mut self, answer: &Answer) -> Result<(), Unsaid> {
        let kept = self.client.take().map(Client::into_channel);
        let usable = kept.and_then(Connection::into_usable);
        let mut client = match usable {
            Some(connection) => Client::new(connection),
            None => self.open().await?,
        };
        let said = say(&mut client, answer).await;
        if !matches!(said, Err(Unsaid::Lost(_))) {
            self.client = Some(client);
        }
        said
    }

    /// Each time with what the topology has to show by then.
    async fn open(&self) -> Result<Client<Connection>, Unsaid> {
        let key = self.access.key();
        let options = ClientOptions {
            key: key.map_err(|error| Unsaid::Refused(error.to_string()))?,
            call_wait_max: CALL_WAIT_MAX,
            ..ClientOptions::default()
        };
        let opened = Connection::open(&self.server, &options).await;
        let opened = opened.map_err(|error| Unsaid::Lost(error.to_string()))?;
        Ok(Client::new(opened))
    }
}

async fn say(client: &mut Client<Connection>, answer: &Answer) -> Result<(), Unsaid> {
    let id = Some(answer.id.as_str());
    let unsaid = |failure: Failure| match failure {
        Failure::Transport(error) => Unsaid::Lost(error.to_string()),
        other => Unsaid::Refused(other.to_string()),
    };
    match &answer.word {
        Word::Result(result) => {
            let said = client.result(id, result.as_deref()).await;
            said.map_err(|error| match error {
                ResultError::Authorization(denied) => Unsaid::Refused(denied.msg),
                ResultError::Failure(failure) => unsaid(failure),
            })
        }
        Word::Failed => {
            let said = client.fail_request(id).await;
            said.map_err(|error| match error {
                FailRequestError::Authorization(denied) => Unsaid::Refused(denied.msg),
                FailRequestError::Failure(failure) => unsaid(failure),
            })
        }
    }
}

/// Answers that wait for one server.
pub const ANSWERS_MAX: usize = 4096;
/// Storm's number of tries.
const TRIES: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// A server answers these calls at once.
const CALL_WAIT_MAX: Duration = Duration::from_secs(20);
