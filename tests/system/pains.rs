//! The 25 pains that users of gateways report, as one table: what is done, what must be seen, and by which tests.
//!
//! Each row is played by the doctor against a route, see [`crate::doctor`], and names the tests that look at it more
//! closely.

use std::{collections::HashSet, fs, path::Path};

use crate::{
    apis::Api,
    doctor::{Installation, best},
};

/// A pain.
struct Pain {
    id: &'static str,
    name: &'static str,
    /// Expected observation.
    seen: &'static str,
    /// Tests that cover it: file below the root of the repository, and function.
    tests: &'static [(&'static str, &'static str)],
}

const PAINS: [Pain; 25] = [
    Pain {
        id: "P01",
        name: "the client has gone, and the provider goes on and charges",
        seen: "the provider's connection closes within a second, and the log has the request with its end",
        tests: &[
            ("tests/system/faults.rs", "fc_63_a_disconnect_in_mid_stream_cancels_the_provider_request"),
            ("tests/system/faults.rs", "fc_64_a_disconnect_before_the_head_cancels_the_provider_request"),
            ("tests/system/disconnects.rs", "i12_fc_63_fc_64_many_disconnects_leave_no_resources_behind"),
        ],
    },
    Pain {
        id: "P02",
        name: "a dead upstream is shown as a clean finish",
        seen: "an error event and no last event",
        tests: &[
            ("tests/system/faults.rs", "an_end_without_finish_reason_and_done_is_a_broken_stream"),
            ("tests/system/failover.rs", "without_resume_a_cut_stream_ends_with_an_error"),
        ],
    },
    Pain {
        id: "P03",
        name: "an error inside a stream with status 200 does not fail over",
        seen: "the next target answers",
        tests: &[
            ("tests/system/faults.rs", "an_error_event_before_anything_else_is_an_error_answer"),
            ("tests/system/failover.rs", "s07_a_slow_first_token_leads_to_the_fallback"),
        ],
    },
    Pain {
        id: "P04",
        name: "naive continuation in mid-stream",
        seen: "no prefill, nothing within a tool call, an error at the first difference",
        tests: &[
            ("tests/system/failover.rs", "s14_the_fallback_gets_the_request_of_the_client_and_no_prefill"),
            ("tests/system/failover.rs", "a_continuation_that_differs_ends_with_an_error"),
        ],
    },
    Pain {
        id: "P05",
        name: "keep-alives are missing, or keep a dead stream alive",
        seen: "they pass, and a deadline ends the wait for content",
        tests: &[("tests/system/failover.rs", "s07_a_slow_first_token_leads_to_the_fallback")],
    },
    Pain {
        id: "P06",
        name: "streams without token counts cost nothing",
        seen: "the provider is asked for them, the log has them, the client does not see them",
        tests: &[("tests/system/costs.rs", "each_class_of_tokens_is_priced_in_every_api")],
    },
    Pain {
        id: "P07",
        name: "streams that are not streamed",
        seen: "each event arrives before the next one is sent",
        tests: &[("tests/system/streaming.rs", "each_event_is_sent_before_the_next_arrives")],
    },
    Pain {
        id: "P08",
        name: "tool calls are lost in translation",
        seen: "events in order, arguments whole",
        tests: &[("tests/system/apis.rs", "every_api_works_in_front_of_every_provider")],
    },
    Pain {
        id: "P09",
        name: "items of Responses lose their identity",
        seen: "a type in each event, the same ids in events and answer",
        tests: &[("tests/system/apis.rs", "every_api_works_in_front_of_every_provider")],
    },
    Pain {
        id: "P10",
        name: "the gateway destroys prompt caches",
        seen: "the provider gets the bytes of the client",
        tests: &[("tests/system/streaming.rs", "every_byte_of_a_request_except_the_model_is_relayed_unchanged")],
    },
    Pain {
        id: "P11",
        name: "the context is cut silently",
        seen: "the whole prompt, or an error; an overflow goes to a larger target only",
        tests: &[
            ("tests/system/failover.rs", "s12_an_overflow_goes_to_a_target_that_holds_more"),
            ("tests/system/qwen/failures.rs", "a_prompt_over_the_size_limit_is_not_sent"),
        ],
    },
    Pain {
        id: "P12",
        name: "cached tokens have a wrong cost",
        seen: "disjoint classes, each at its price",
        tests: &[("tests/system/costs.rs", "each_class_of_tokens_is_priced_in_every_api")],
    },
    Pain {
        id: "P13",
        name: "rows of the log are lost",
        seen: "each answered request is logged once, also after a kill",
        tests: &[
            ("tests/system/chaos.rs", "i1_i2_i3_the_log_survives_kills_on_sqlite"),
            ("tests/system/lifecycle.rs", "i1_i3_completed_answers_survive_kill_9_and_others_are_interrupted_once"),
        ],
    },
    Pain {
        id: "P14",
        name: "the database of the log grows",
        seen: "repeated text is stored once, lists and searches have bounded memory",
        tests: &[("tests/system/large_log.rs", "i13_lists_and_searches_have_bounded_memory")],
    },
    Pain {
        id: "P15",
        name: "budgets overshoot under concurrency",
        seen: "exactly the requests that fit are served; the refusal is final",
        tests: &[("tests/system/keys.rs", "a_budget_for_fifty_requests_serves_fifty_of_two_hundred")],
    },
    Pain {
        id: "P16",
        name: "retry storms and wrong cool-downs",
        seen: "a retry budget, a breaker, probes by real requests",
        tests: &[
            ("tests/system/failover.rs", "s15_an_outage_opens_the_breaker_and_its_end_closes_it"),
            (
                "services/provider-router/src/retry_budget.rs",
                "the_budget_is_a_tenth_of_the_requests_and_grows_with_time",
            ),
        ],
    },
    Pain {
        id: "P17",
        name: "memory grows",
        seen: "memory and descriptors are bounded",
        tests: &[("tests/system/soak.rs", "i10_memory_and_descriptors_do_not_grow_with_work")],
    },
    Pain {
        id: "P18",
        name: "trouble with the database becomes 401",
        seen: "answers go on",
        tests: &[
            ("tests/system/outage.rs", "fc_45_a_stopped_postgresql_delays_only_the_log"),
            ("tests/system/replaced_database.rs", "fc_44_services_wait_for_a_deleted_database"),
        ],
    },
    Pain {
        id: "P19",
        name: "SQLite is locked",
        seen: "writers wait, and nothing fails",
        tests: &[("tests/system/outage.rs", "fc_38_a_locked_sqlite_delays_only_the_log")],
    },
    Pain {
        id: "P20",
        name: "health checks lie, kill or cost",
        seen: "live and ready do not depend on providers, and call none",
        tests: &[("tests/system/supervision.rs", "fc_16_fc_17_readiness_requires_a_passing_health_check")],
    },
    Pain {
        id: "P21",
        name: "changes of the configuration are late or partial",
        seen: "in effect within a second, all or nothing",
        tests: &[("tests/system/catalog.rs", "a_provider_committed_by_another_process_is_usable")],
    },
    Pain {
        id: "P22",
        name: "keys leak",
        seen: "no key in any output",
        tests: &[("tests/system/canary.rs", "i15_no_secret_appears_in_any_output")],
    },
    Pain {
        id: "P23",
        name: "the log cannot be searched",
        seen: "filters and searches run in the database",
        tests: &[("tests/system/large_log.rs", "i13_lists_and_searches_have_bounded_memory")],
    },
    Pain {
        id: "P24",
        name: "child processes stay",
        seen: "nothing outlives its supervisor, ports are free",
        tests: &[
            ("tests/system/supervision.rs", "fc_01_fc_02_fc_30_all_descendants_exit_with_the_leader"),
            ("tests/system/lifecycle.rs", "i4_children_exit_when_api_server_is_killed"),
        ],
    },
    Pain {
        id: "P25",
        name: "a firewall's page becomes an empty answer",
        seen: "a typed error or the next target, never an empty success",
        tests: &[
            ("tests/system/qwen/rude.rs", "an_error_in_a_200_is_reported_with_status_and_message"),
            ("tests/system/qwen/failures.rs", "an_empty_answer_is_an_error"),
        ],
    },
];

#[test]
fn each_pain_has_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let ids: HashSet<&str> = PAINS.iter().map(|pain| pain.id).collect();
    assert_eq!(ids.len(), 25);
    for pain in &PAINS {
        assert!(!pain.name.is_empty() && !pain.seen.is_empty() && !pain.tests.is_empty(), "{}", pain.id);
        for (file, test) in pain.tests {
            let text =
                fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{}: {file}: {error}", pain.id));
            let (_, behind) =
                text.split_once(&format!("fn {test}(")).unwrap_or_else(|| panic!("{}: no {test}", pain.id));
            let before = &text[..text.len() - behind.len()];
            let attribute = before.lines().rev().nth(1).unwrap_or_default();
            assert!(attribute.contains("test"), "{}: {test} is no test, but below `{attribute}`", pain.id);
        }
    }
}

#[tokio::test]
async fn no_pain_is_felt() {
    let installation = Installation::new(Api::Chat).await;
    installation.route(&best("good")).await;
    let card = installation.run(&["doctor", "--against-fakes", "--json"]).await.json();
    for pain in &PAINS {
        let mut scores = card["routes"][0]["scores"].as_array().unwrap().iter();
        let score = scores.find(|score| score["id"] == pain.id).unwrap_or_else(|| panic!("no {}", pain.id));
        assert_eq!(score["verdict"], "pass", "{} ({}): {score}", pain.name, pain.seen);
    }
}
