//! A second run of the tests of streams, in front of rude providers.

/// Repeats tests of this module in a module `rudely`, with providers that join events, cut them at odd places, add
/// comments, end lines with CRLF and compress.
macro_rules! rudely {
    ($($test:ident),+ $(,)?) => {
        mod rudely {
            $(
                #[test]
                fn $test() {
                    signalbox_fakes::script::rudely(super::$test);
                }
            )+
        }
    };
}

pub(crate) use rudely;

/// The files whose tests run twice, and the tests that do not, because their provider sends no stream of a script, or
/// breaks off a stream of which a rude one has sent nothing.
const FILES: [(&str, &str, &[&str]); 6] = [
    ("streaming.rs", include_str!("streaming.rs"), &[]),
    (
        "fallback.rs",
        include_str!("fallback.rs"),
        &["all_attempts_share_one_total", "a_failure_after_the_first_byte_is_not_retried"],
    ),
    (
        "apis.rs",
        include_str!("apis.rs"),
        &[
            "a_stream_that_breaks_off_is_an_error_in_every_api",
            "losses_are_told_or_refused",
            "answers_that_a_provider_keeps_are_read_there",
            "tokens_are_counted_by_the_provider_or_estimated",
            "every_route_to_a_provider_refuses_loops_and_compressed_bodies",
            "clients_find_their_own_models_sessions_and_upgrades",
            "a_page_may_read_the_ids_and_what_was_translated",
        ],
    ),
    (
        "apis/kept.rs",
        include_str!("apis/kept.rs"),
        &[
            "an_answer_that_broke_off_has_failed",
            "input_items_are_paged_in_both_orders",
            "a_conversation_needs_a_provider_of_responses",
            "a_new_answer_is_unavailable_and_not_missing_while_the_database_is_behind",
        ],
    ),
    (
        "resumable.rs",
        include_str!("resumable.rs"),
        &[
            "bad_ids_and_other_keys_are_refused",
            "a_client_that_stays_away_cancels_the_request",
            "a_request_that_is_cancelled_meanwhile_ends_unfinished",
            "routes_and_headers_say_what_is_resumable",
            "an_answer_without_a_client_ends_before_the_router_stops",
            "a_new_api_server_does_not_matter",
        ],
    ),
    (
        "failover.rs",
        include_str!("failover.rs"),
        &[
            "s08_a_cut_stream_is_continued_by_the_fallback",
            "without_resume_a_cut_stream_ends_with_an_error",
            "a_continuation_that_differs_ends_with_an_error",
            "s12_an_overflow_goes_to_a_target_that_holds_more",
            "s13_a_refusal_of_the_content_is_the_answer",
            "s15_an_outage_opens_the_breaker_and_its_end_closes_it",
            "an_error_behind_the_role_leads_to_the_fallback_without_any_setting",
        ],
    ),
];

#[test]
fn every_test_of_streams_runs_politely_and_rudely() {
    for (file, source, polite) in FILES {
        let (tests, repeated) = source.split_once("rudely! {").unwrap_or((source, ""));
        let repeated = repeated.split('}').next().unwrap_or_default();
        let repeated: Vec<&str> = repeated.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()).collect();
        for test in tests.split("#[tokio::test]\nasync fn ").skip(1) {
            let name = test.split('(').next().unwrap_or_default();
            assert_ne!(
                repeated.contains(&name),
                polite.contains(&name),
                "{file}: {name} runs twice, or is listed as polite"
            );
        }
    }
}
