//! Groupings of a topology's own: native code that says which tasks get a tuple (Storm's
//! `CustomStreamGrouping`). What it says is checked here.

use std::fmt;

use super::GroupingError;
use crate::id::{ComponentId, StreamId, TaskId};
use crate::tuple::{Fields, ValueRef};

/// Divides the tuples of a stream among the tasks of a subscriber. Each executor that emits to the
/// stream has one of its own.
///
/// A closure that gives the tasks for a [`Choice`] is one:
///
/// ```
/// use stormwire::prelude::*;
///
/// /// Short words here, long words there.
/// fn by_length(choice: &Choice<'_>) -> Option<TaskId> {
///     let length = match choice.values.first()? {
///         ValueRef::Str(word) => word.len(),
///         _ => 0,
///     };
///     choice.tasks.get(length % choice.tasks.len()).copied()
/// }
/// # let mut grouping = by_length;
/// # let (tasks, values) = ([TaskId(4), TaskId(5)], values!["odd"]);
/// # let choice = Choice { source: TaskId(1), values: &values, tasks: &tasks };
/// # let mut chosen = vec![];
/// # grouping.choose_tasks(&choice, &mut chosen);
/// # assert_eq!(chosen, [TaskId(5)]);
/// ```
pub trait CustomGrouping: Send {
    /// Called once, before the first tuple.
    fn prepare(&mut self, stream: &GroupedStream<'_>) {
        let _ = stream;
    }

    /// Appends the tasks that get the tuple: any number of `choice.tasks`. None: nobody gets it.
    fn choose_tasks(&mut self, choice: &Choice<'_>, chosen: &mut Vec<TaskId>);
}

/// What a custom grouping divides, and among whom.
#[derive(Clone, Copy, Debug)]
pub struct GroupedStream<'a> {
    pub source: &'a ComponentId,
    pub stream: &'a StreamId,
    pub fields: &'a Fields,
    pub subscriber: &'a ComponentId,
    /// Of the subscriber, in ascending order.
    pub tasks: &'a [TaskId],
}

/// One tuple that is emitted.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The task that emits.
    pub source: TaskId,
    /// As many as the stream has fields, in their order.
    pub values: &'a [ValueRef<'a>],
    /// Of the subscriber, in ascending order.
    pub tasks: &'a [TaskId],
}

/// A custom grouping at work.
pub struct Custom {
    grouping: Box<dyn CustomGrouping>,
    tasks: Vec<TaskId>,
    chosen: Vec<TaskId>,
}

// === impl CustomGrouping ===

impl<F, T> CustomGrouping for F
where
    F: FnMut(&Choice<'_>) -> T + Send,
    T: IntoIterator<Item = TaskId>,
{
    fn choose_tasks(&mut self, choice: &Choice<'_>, chosen: &mut Vec<TaskId>) {
        chosen.extend(self(choice));
    }
}

// === impl Custom ===

impl Custom {
    /// Prepares the grouping.
    pub fn new(mut grouping: Box<dyn CustomGrouping>, stream: &GroupedStream<'_>) -> Self {
        grouping.prepare(stream);
        Custom {
            grouping,
            tasks: stream.tasks.to_vec(),
            chosen: Vec::new(),
        }
    }

    /// Appends the tasks that the grouping chooses, all of them or none.
    pub(super) fn choose(
        &mut self,
        (source, subscriber): (TaskId, &ComponentId),
        values: &[ValueRef<'_>],
        targets: &mut Vec<TaskId>,
    ) -> Result<(), GroupingError> {
        let choice = Choice {
            source,
            values,
            tasks: &self.tasks,
        };
        // Of its own: it must not take away what other groupings chose.
        self.chosen.clear();
        self.grouping.choose_tasks(&choice, &mut self.chosen);
        let is_foreign = |task: &&TaskId| self.tasks.binary_search(task).is_err();
        if let Some(task) = self.chosen.iter().find(is_foreign) {
            return Err(GroupingError::NotATask {
                subscriber: subscriber.clone(),
                task: *task,
            });
        }
        targets.extend_from_slice(&self.chosen);
        Ok(())
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom")
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Grouping, Subscribers};
    use super::*;
    use crate::values;

    /// To the task behind the last one, and to the first task too when the value says so.
    #[derive(Default)]
    struct NextAndFirst {
        prepared: Vec<TaskId>,
        next: usize,
    }

    impl CustomGrouping for NextAndFirst {
        fn prepare(&mut self, stream: &GroupedStream<'_>) {
            assert_eq!(stream.source.as_str(), "words");
            assert_eq!(stream.fields.name(0), Some("word"));
            self.prepared = stream.tasks.to_vec();
        }

        fn choose_tasks(&mut self, choice: &Choice<'_>, chosen: &mut Vec<TaskId>) {
            assert_eq!(self.prepared, choice.tasks);
            chosen.push(choice.tasks[self.next % choice.tasks.len()]);
            self.next += 1;
            if matches!(choice.values, [ValueRef::Str("both")]) {
                chosen.push(self.prepared[0]);
            }
        }
    }

    fn subscribers(grouping: impl CustomGrouping + 'static) -> Subscribers {
        let fields = Fields::new(["word"]).expect("no repeats");
        let stream = GroupedStream {
            source: &ComponentId::from("words"),
            stream: &StreamId::from("default"),
            fields: &fields,
            subscriber: &ComponentId::from("count"),
            tasks: &[TaskId(3), TaskId(5)],
        };
        let custom = Custom::new(Box::new(grouping), &stream);
        let all = Grouping::all(vec![TaskId(9)]);
        Subscribers::new(vec![
            (ComponentId::from("all"), all),
            (ComponentId::from("count"), Grouping::Custom(custom)),
        ])
    }

    fn chosen(subscribers: &mut Subscribers, word: &str) -> Result<Vec<i32>, GroupingError> {
        let mut targets = Vec::new();
        subscribers.choose(TaskId(1), &values![word], &mut targets)?;
        Ok(targets.iter().map(|task| task.0).collect())
    }

    #[test]
    fn chooses_any_of_its_subscribers_tasks_beside_what_others_chose() {
        let mut next = subscribers(NextAndFirst::default());
        assert_eq!(chosen(&mut next, "one"), Ok(vec![9, 3]));
        assert_eq!(chosen(&mut next, "both"), Ok(vec![9, 5, 3]));
        let mut nobody = subscribers(|_: &Choice<'_>| None);
        assert_eq!(chosen(&mut nobody, "one"), Ok(vec![9]));
        let mut from = subscribers(|choice: &Choice<'_>| {
            assert_eq!(choice.source, TaskId(1));
            [choice.tasks[1]]
        });
        assert_eq!(chosen(&mut from, "one"), Ok(vec![9, 5]));
    }

    #[test]
    fn a_task_of_somebody_else_is_an_error_to_the_emitter() {
        let mut stray = subscribers(|_: &Choice<'_>| [TaskId(9)]);
        let error = chosen(&mut stray, "one").expect_err("not a task of count");
        let expected = "the grouping of component count chose task 9, which is none of its tasks";
        assert_eq!(error.to_string(), expected);
    }
}
