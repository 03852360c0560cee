//! Content negotiation of `GET /metrics`: OpenMetrics for clients that accept it, the older Prometheus text format for
//! all others.

use http::{HeaderMap, header};

/// Media type of OpenMetrics, without its parameters.
const OPENMETRICS: &str = "application/openmetrics-text";

/// Returns the content type and the body of the response. `openmetrics` is the text in OpenMetrics format.
#[must_use]
pub fn exposition(headers: &HeaderMap, openmetrics: String) -> (&'static str, String) {
    if wants_openmetrics(headers) {
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", openmetrics)
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", plain(&openmetrics))
    }
}

/// Returns `true` if `Accept` contains OpenMetrics with a weight at least that of plain text.
fn wants_openmetrics(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).into_iter().filter_map(|accept| accept.to_str().ok());
    let (mut open, mut text) = (0.0, 0.0);
    for range in accepts.flat_map(|accept| accept.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse().ok());
        let best = match name {
            _ if name.eq_ignore_ascii_case(OPENMETRICS) => &mut open,
            _ if name.eq_ignore_ascii_case("text/plain") => &mut text,
            _ => continue,
        };
        *best = f64::max(*best, weight.unwrap_or_default());
    }
    open > 0.0 && open >= text
}

/// Converts OpenMetrics to the Prometheus text format 0.0.4, in which a family is named like its samples and newer
/// types and comments are unknown.
fn plain(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let lines: Vec<&str> = openmetrics.lines().collect();
    // Some writers put the type after the help line, and both need the suffix, so the type is looked up first.
    let suffix = |family: &str| {
        let kind = lines.iter().find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(family)?.strip_prefix(' '));
        match kind {
            Some("counter") if !family.ends_with("_total") => "_total",
            Some("info") if !family.ends_with("_info") => "_info",
            _ => "",
        }
    };
    for line in &lines {
        if let Some((family, help)) =
            line.strip_prefix("# HELP ").map(|rest| rest.split_once(' ').unwrap_or((rest, "")))
        {
            text.extend(["# HELP ", family, suffix(family), " ", help, "\n"]);
        } else if let Some((family, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let known = match kind {
                "counter" | "gauge" | "histogram" | "summary" => kind,
                "info" | "stateset" => "gauge",
                "gaugehistogram" => "histogram",
                _ => "untyped",
            };
            text.extend(["# TYPE ", family, suffix(family), " ", known, "\n"]);
        } else if !line.starts_with('#') && !line.is_empty() {
            text.extend([line, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wants(accept: &[&'static str]) -> bool {
        wants_openmetrics(&accept.iter().map(|accept| (header::ACCEPT, HeaderValue::from_static(accept))).collect())
    }

    #[test]
    fn openmetrics_is_sent_on_request() {
        for plain in
            [&[][..], &["*/*"], &["text/plain"], &["text/html, */*;q=0.8"], &["application/openmetrics-text;q=0"]]
        {
            assert!(!wants(plain), "{plain:?}");
        }
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for open in [&[prometheus][..], &["Application/OpenMetrics-Text"], &["text/plain;q=0.5", OPENMETRICS]] {
            assert!(wants(open), "{open:?}");
        }
        assert!(!wants(&["text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5"]));
    }

    #[test]
    fn plain_text_families_are_named_like_their_samples() {
        let openmetrics = "\
# HELP calls Calls.
# TYPE calls counter
# UNIT calls calls
calls_total{status=\"# 1\"} 7
# HELP busy_seconds How long.
# TYPE busy_seconds histogram
# UNIT busy_seconds seconds
busy_seconds_sum 1.5
busy_seconds_bucket{le=\"+Inf\"} 2
# TYPE build info
build_info{version=\"1\"} 1
# TYPE open gauge
open 3
# TYPE odd unknown
odd 1
# EOF
";
        let expected = "\
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{status=\"# 1\"} 7
# HELP busy_seconds How long.
# TYPE busy_seconds histogram
busy_seconds_sum 1.5
busy_seconds_bucket{le=\"+Inf\"} 2
# TYPE build_info gauge
build_info{version=\"1\"} 1
# TYPE open gauge
open 3
# TYPE odd untyped
odd 1
";
        assert_eq!(plain(openmetrics), expected);
        let (kind, text) = exposition(&HeaderMap::new(), openmetrics.to_owned());
        assert_eq!((kind, text.as_str()), ("text/plain; version=0.0.4; charset=utf-8", expected));
    }
}
