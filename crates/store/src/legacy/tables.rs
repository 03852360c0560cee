//! The tables of the Node.js version.

/// A table in all of its states.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The columns that existed from the beginning.
    pub(super) needed: &'static [&'static str],
    /// The columns that were added later.
    pub(super) later: &'static [&'static str],
}

/// All tables that ever existed.
pub(super) const TABLES: &[Table] = &[
    Table { name: "settings", needed: &["key", "value", "updated_at"], later: &[] },
    Table { name: "metadata", needed: &["key", "value", "updated_at"], later: &[] },
    Table { name: "schema_version", needed: &["version"], later: &["applied_at"] },
    Table {
        name: "sessions",
        needed: &[
            "id",
            "chat_id",
            "parent_id",
            "first_user_message",
            "message_count",
            "created_at",
            "last_accessed",
            "expires_at",
        ],
        later: &["conversation_hash", "user_id"],
    },
    Table {
        name: "requests",
        needed: &[
            "id",
            "session_id",
            "request_id",
            "timestamp",
            "method",
            "path",
            "openai_request",
            "qwen_request",
            "model",
            "stream",
            "created_at",
        ],
        later: &[],
    },
    Table {
        name: "responses",
        needed: &[
            "id",
            "request_id",
            "session_id",
            "response_id",
            "timestamp",
            "qwen_response",
            "openai_response",
            "parent_id",
            "completion_tokens",
            "prompt_tokens",
            "total_tokens",
            "finish_reason",
            "error",
            "duration_ms",
            "created_at",
        ],
        later: &[],
    },
    Table {
        name: "qwen_credentials",
        needed: &["id", "token", "cookies", "expires_at", "created_at", "updated_at"],
        later: &[],
    },
    Table {
        name: "providers",
        needed: &["id", "name", "type", "enabled", "priority", "description", "created_at", "updated_at"],
        later: &[],
    },
    Table {
        name: "provider_configs",
        needed: &["id", "provider_id", "key", "value", "is_sensitive", "created_at", "updated_at"],
        later: &[],
    },
    Table {
        name: "models",
        needed: &["id", "name", "description", "capabilities", "created_at", "updated_at"],
        later: &[],
    },
    Table {
        name: "provider_models",
        needed: &["id", "provider_id", "model_id", "is_default", "config", "created_at", "updated_at"],
        later: &[],
    },
    Table {
        name: "errors",
        needed: &[
            "id",
            "error_id",
            "timestamp",
            "error_type",
            "error_code",
            "error_message",
            "stack_trace",
            "session_id",
            "request_id",
            "endpoint",
            "method",
            "user_agent",
            "request_payload",
            "response_payload",
            "severity",
            "resolved",
            "notes",
            "created_at",
        ],
        later: &[],
    },
    Table {
        name: "request_logs",
        needed: &[
            "id",
            "request_id",
            "provider",
            "endpoint",
            "method",
            "request_body",
            "response_body",
            "status_code",
            "duration_ms",
            "error",
            "created_at",
        ],
        later: &[],
    },
];

// === impl Table ===

impl Table {
    pub(super) fn has(&self, column: &str) -> bool {
        self.needed.contains(&column) || self.later.contains(&column)
    }
}
