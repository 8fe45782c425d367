//! Lists in pages.

use std::collections::BTreeSet;
use std::future::Future;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures_util::TryFutureExt as _;

use app::ports::Result;

use crate::error::{unexpected, wrap};

/// Reads all pages: `ask` requests the page with a token, `take` consumes it and returns the next token. An empty page need not be
/// the last, and a repeated token would loop forever.
pub(crate) async fn pages<P, F: Future<Output = Result<P>>>(
    operation: &'static str,
    mut ask: impl FnMut(Option<String>) -> F,
    mut take: impl FnMut(P) -> Result<Option<String>>,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut token = None;
    loop {
        token = take(ask(token).await?)?.filter(|token| !token.is_empty());
        let Some(next) = &token else { return Ok(()) };
        if !seen.insert(next.clone()) {
            return Err(unexpected(operation, "a page token was repeated"));
        }
    }
}

/// Like [`pages`], for requests of the SDK.
pub(crate) async fn sdk_pages<P, E, F: Future<Output = Result<P, SdkError<E, HttpResponse>>>>(
    operation: &'static str,
    mut ask: impl FnMut(Option<String>) -> F,
    take: impl FnMut(P) -> Result<Option<String>>,
) -> Result<()>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    pages(operation, |token| ask(token).map_err(wrap(operation)), take).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads pages with these next tokens. Returns the tokens of the requests.
    async fn read(next: &[Option<&str>]) -> (Result<()>, Vec<Option<String>>) {
        let (mut asked, mut next) = (Vec::new(), next.iter());
        let ask = |token| {
            asked.push(token);
            std::future::ready(Ok(next.next().unwrap().map(ToOwned::to_owned)))
        };
        let outcome = pages("config:DescribeConfigRules", ask, Ok).await;
        (outcome, asked)
    }

    #[tokio::test]
    async fn pages_end_without_token_and_never_repeat() {
        let (outcome, asked) = read(&[Some("1"), Some("2"), Some("1")]).await;
        assert_eq!(asked, [None, Some("1".to_owned()), Some("2".to_owned())]);
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("DescribeConfigRules failed: a page token was repeated"), "{error}");
        for end in [None, Some("")] {
            assert_eq!(read(&[end]).await, (Ok(()), vec![None]));
            assert_eq!(read(&[Some("1"), end]).await.1.len(), 2);
        }
    }
}
