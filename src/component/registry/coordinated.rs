//! How `CoordinatedBolt` is written as arguments: texts, where Java has objects.

use super::{Args, ArgumentError, delegate};
use crate::component::Bolt;
use crate::component::drpc::coordinated::{CoordinatedBolt, Delegate, Spec};
use crate::component::shell::ShellBolt;
use crate::wire::storm::{JavaObject, ShellComponent};

/// Sources, ids, then the bolt inside.
pub fn read(args: &mut Args<'_>) -> Result<Box<dyn Bolt>, ArgumentError> {
    let sources = args.text("the sources, such as bolt0=single,bolt1=all")?;
    Spec::parse(&sources, "").map_err(|error| args.refused(error))?;
    let ids = args.text("the stream of ids, such as prepare-request:id")?;
    let spec = Spec::parse(&sources, &ids).map_err(|error| args.refused(error))?;
    let inside = args.text("the class of the bolt inside, or shell, or shell-batch")?;
    let delegate = match inside.as_str() {
        "shell" => Delegate::Bolt(shell(args)?),
        "shell-batch" => Delegate::ShellBatch(shell(args)?),
        class => {
            let object = JavaObject {
                full_class_name: class.to_owned(),
                args_list: args.rest(),
            };
            delegate(&object).map_err(|error| args.refused(error))?
        }
    };
    Ok(Box::new(CoordinatedBolt::new(spec, delegate)))
}

fn shell(args: &mut Args<'_>) -> Result<Box<dyn Bolt>, ArgumentError> {
    let command = args.text("the command of the child")?;
    let script = args.text("the script of the child")?;
    Ok(Box::new(ShellBolt::new(ShellComponent {
        execution_command: Some(command),
        script: Some(script),
    })))
}
