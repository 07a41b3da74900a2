//! What children have to say beside tuples: log lines, errors, metrics.

use std::sync::Arc;

use crate::clock;
use crate::component::metrics::TaskMetrics;
use crate::component::multilang::{Command, FromChild, LogLevel};
use crate::component::{ComponentFailure, TaskContext};

/// One task's reports.
#[derive(Debug)]
pub struct Report {
    component: String,
    metrics: Arc<TaskMetrics>,
    metrics_due_ms: u64,
    /// Of the metrics that the log has.
    n_changes_shown: u64,
}

// === impl Report ===

impl Report {
    pub fn new(context: &TaskContext) -> Self {
        Report {
            component: context.component().to_string(),
            metrics: context.metrics(),
            metrics_due_ms: 0,
            n_changes_shown: 0,
        }
    }

    /// Takes up what a child whose pid is `pid` says. Gives what is to be shown as an error of the
    /// component, which need not end the child.
    pub fn hear(&self, message: &FromChild, pid: &str) -> Option<ComponentFailure> {
        match message.command {
            Command::Error => {
                let text = message.msg.as_deref().unwrap_or("null");
                let text = format!("Shell Process Exception: {text}");
                return Some(ComponentFailure::new(text));
            }
            Command::Log => self.log(pid, message),
            Command::Metrics => {
                let (name, params) = (message.metric_name.as_deref(), &message.metric_params);
                return self.metrics.report(name, params).err().map(Into::into);
            }
            _ => {}
        }
        None
    }

    /// Puts the metrics that changed into the log, once a minute.
    pub fn show_metrics(&mut self, task: &str) {
        let now_ms = clock::monotonic_millis();
        if now_ms < self.metrics_due_ms {
            return;
        }
        self.metrics_due_ms = now_ms + METRICS_INTERVAL_MS;
        let n_changes = self.metrics.version();
        if std::mem::replace(&mut self.n_changes_shown, n_changes) != n_changes {
            tracing::info!("{task} metrics: {}", self.metrics.line());
        }
    }

    /// A line for the worker's log, as Storm words it.
    fn log(&self, pid: &str, message: &FromChild) {
        let name = &self.component;
        let text = message.msg.as_deref().unwrap_or("null");
        match message.level {
            LogLevel::Trace => {
                tracing::trace!(component = %name, "ShellLog pid:{pid}, name:{name} {text}")
            }
            LogLevel::Debug => {
                tracing::debug!(component = %name, "ShellLog pid:{pid}, name:{name} {text}")
            }
            LogLevel::Info => {
                tracing::info!(component = %name, "ShellLog pid:{pid}, name:{name} {text}")
            }
            LogLevel::Warn => {
                tracing::warn!(component = %name, "ShellLog pid:{pid}, name:{name} {text}")
            }
            LogLevel::Error => {
                tracing::error!(component = %name, "ShellLog pid:{pid}, name:{name} {text}")
            }
        }
    }
}

const METRICS_INTERVAL_MS: u64 = 60_000;
