//! Gives tool calls the form that the client defined.

use std::collections::HashMap;

use crate::hub::{CallKind, Delta, Event, Opening};
use crate::target::ToolMap;
use crate::write::{unwrap_custom, unwrap_cut};

/// Replaces the names of tools at the provider by the client's, and unwraps the input of custom tools that were sent as
/// functions.
#[derive(Debug, Default)]
pub(crate) struct Restore {
    tools: ToolMap,
    /// The arguments so far of calls that have to be unwrapped, by block.
    wrapped: HashMap<u32, String>,
}

// === impl Restore ===

impl Restore {
    pub(crate) fn new(tools: ToolMap) -> Self {
        Self { tools, wrapped: HashMap::new() }
    }

    pub(crate) fn push(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.tools.is_empty() {
            return out.push(event);
        }
        match event {
            Event::Open { block, opening: Opening::Call { id, name, namespace, kind } } => {
                let Some(tool) = self.tools.get(&name) else {
                    return out.push(Event::Open { block, opening: Opening::Call { id, name, namespace, kind } });
                };
                if tool.kind == CallKind::Custom && kind == CallKind::Function {
                    self.wrapped.insert(block, String::new());
                }
                let opening =
                    Opening::Call { id, name: tool.name.clone(), namespace: tool.namespace.clone(), kind: tool.kind };
                out.push(Event::Open { block, opening });
            }
            Event::Delta { block, delta: Delta::Input(input) } => match self.wrapped.get_mut(&block) {
                Some(wrapped) => wrapped.push_str(&input),
                None => out.push(Event::Delta { block, delta: Delta::Input(input) }),
            },
            Event::Close { block } => {
                self.unwrap(block, out);
                out.push(Event::Close { block });
            }
            Event::Finish(finish) => {
                let mut blocks: Vec<u32> = self.wrapped.keys().copied().collect();
                blocks.sort_unstable();
                blocks.into_iter().for_each(|block| self.unwrap(block, out));
                out.push(Event::Finish(finish));
            }
            event => out.push(event),
        }
    }

    /// Passes on the input of a custom tool. Arguments of another form are passed on as they are.
    fn unwrap(&mut self, block: u32, out: &mut Vec<Event>) {
        let Some(arguments) = self.wrapped.remove(&block) else { return };
        let input = unwrap_custom(&arguments).or_else(|| unwrap_cut(&arguments)).unwrap_or(arguments);
        out.push(Event::Delta { block, delta: Delta::Input(input) });
    }
}
