//! What children have to say beside tuples: log lines, errors, metrics.

use crate::clock;
use crate::component::multilang::{FromChild, LogLevel};
use crate::component::shell::metrics::{MetricError, Metrics};
use crate::component::{ComponentFailure, TaskContext};

/// One task's reports.
#[derive(Debug)]
pub struct Report {
    component: String,
    pub metrics: Metrics,
    metrics_due_ms: u64,
}

// === impl Report ===

impl Report {
    pub fn new(context: &TaskContext) -> Self {
        Report {
            component: context.component().to_string(),
            metrics: Metrics::default(),
            metrics_due_ms: 0,
        }
    }

    /// A line for the worker's log, as Storm words it.
    pub fn log(&self, pid: &str, message: &FromChild) {
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

    /// An error that the child reports of itself.
    pub fn error(message: &FromChild) -> ComponentFailure {
        let text = message.msg.as_deref().unwrap_or("null");
        ComponentFailure::new(format!("Shell Process Exception: {text}"))
    }

    pub fn metric(&mut self, message: &FromChild) -> Result<(), MetricError> {
        self.metrics
            .report(message.metric_name.as_deref(), &message.metric_params)
    }

    /// Puts the metrics that changed into the log, once a minute.
    pub fn show_metrics(&mut self, task: &str) {
        let now_ms = clock::monotonic_millis();
        if now_ms < self.metrics_due_ms {
            return;
        }
        self.metrics_due_ms = now_ms + METRICS_INTERVAL_MS;
        if let Some(line) = self.metrics.take_line() {
            tracing::info!("{task} metrics: {line}");
        }
    }
}

const METRICS_INTERVAL_MS: u64 = 60_000;
