//! Carries thinking of other APIs through reasoning items.
//!
//! Clients of Responses give `encrypted_content` back unchanged, but may drop the text of an item. So the handle holds
//! the whole block, and the vendor that made it gets it back unmodified. Thinking without a signature has a handle too,
//! because some providers of Chat Completions want their reasoning text back.

use crate::field::Raw;
use crate::hub::{Block, Json, Thinking};
use crate::out;

/// The beginning of `encrypted_content` in the reasoning items that this gateway makes of the thinking of other APIs.
pub const PREFIX: &str = "signalbox.thinking.v1:";

/// Returns the handle of a thinking block.
pub(super) fn of_thinking(thinking: &Thinking) -> String {
    let block = out::json(|block| {
        block.str("thinking", &thinking.text);
        block.opt_str("signature", thinking.signature());
    });
    format!("{PREFIX}{}", block.as_str())
}

/// Returns the handle of a redacted thinking block.
pub(super) fn of_redacted(data: &str) -> String {
    let block = out::json(|block| block.str("data", data));
    format!("{PREFIX}{}", block.as_str())
}

/// Returns the block of a handle; `None` if the text is not a handle.
pub(super) fn read(encrypted: &str) -> Option<Block> {
    let json = Json::parse(encrypted.strip_prefix(PREFIX)?)?;
    let fields = Raw::document(json.as_str()).fields()?;
    if let Some(data) = fields.string("data") {
        return Some(Block::RedactedThinking { data });
    }
    Some(Block::Thinking(Thinking { text: fields.string("thinking")?, signature: fields.string("signature") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_hold_the_whole_block() {
        for signature in [Some("c2ln".to_owned()), None] {
            let thinking = Thinking { text: "a \"b\"\n".into(), signature };
            assert_eq!(read(&of_thinking(&thinking)), Some(Block::Thinking(thinking)));
        }
        assert_eq!(read(&of_redacted("xyz")), Some(Block::RedactedThinking { data: "xyz".into() }));
        for other in ["", "gAAAA", "signalbox.thinking.v1:", "signalbox.thinking.v1:[]", "signalbox.thinking.v1:{}"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
