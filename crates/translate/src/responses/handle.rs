//! Carries thinking of Messages through reasoning items.
//!
//! Clients of Responses give `encrypted_content` back unchanged, but may drop the text of an item. So the handle holds
//! the whole block, and the vendor that made it gets it back unmodified.

use crate::field::Raw;
use crate::hub::{Block, Json, Thinking};
use crate::out;

const PREFIX: &str = "signalbox.messages.v1:";

/// Returns the handle of a thinking block with a signature.
pub(super) fn of_thinking(text: &str, signature: &str) -> String {
    let block = out::json(|block| {
        block.str("thinking", text);
        block.str("signature", signature);
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
    Some(Block::Thinking(Thinking { text: fields.string("thinking")?, signature: Some(fields.string("signature")?) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_hold_the_whole_block() {
        let thinking = Thinking { text: "a \"b\"\n".into(), signature: Some("c2ln".into()) };
        assert_eq!(read(&of_thinking("a \"b\"\n", "c2ln")), Some(Block::Thinking(thinking)));
        assert_eq!(read(&of_redacted("xyz")), Some(Block::RedactedThinking { data: "xyz".into() }));
        for other in ["", "gAAAA", "signalbox.messages.v1:", "signalbox.messages.v1:[]", "signalbox.messages.v1:{}"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
