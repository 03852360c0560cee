//! Management requests that this process answers itself: its loaded providers, their tests and reloads, and the syncs
//! of their models.
//!
//! api-server asks for the same on behalf of its own callers. It signs these requests, has checked its callers, and
//! records their requests.

use axum::{Router, body::Body};
use http::{Request, Response};
use signalbox_daemon::forwarded::FORWARDED;
use signalbox_daemon::instance::InstanceRecord;
use signalbox_daemon::{RequestBody, RequestContext};
use tower::ServiceExt;

use super::refused::ManagementError;
use super::{Management, actor, is_read};
use crate::{api::error::ApiError, body::ResponseBody, clock::unix_ms};

impl Management {
    /// Answers a request that has passed [`Management::entry`] with the routes of this process.
    pub async fn answer_own(&self, request: Request<RequestBody>, routes: Router) -> Response<ResponseBody> {
        self.own(request, routes).await.unwrap_or_else(|error| error.response())
    }

    async fn own(&self, request: Request<RequestBody>, routes: Router) -> Result<Response<ResponseBody>, ApiError> {
        if self.services.has_signed(&request, unix_ms()) {
            return Ok(routed(routes, request).await);
        }
        if request.headers().contains_key(FORWARDED) {
            return Err(ManagementError::ForwardingLoop.into());
        }
        let server = self.api_server().await?;
        let (mut request, refusal) = self.checked(server.as_ref(), request).await?;
        if let Some(refusal) = refusal {
            return Ok(refusal);
        }
        if server.is_none() && self.supervised {
            return Err(ManagementError::Unavailable("it is restarting".to_owned()).into());
        }
        if is_read(request.method()) {
            return Ok(routed(routes, request).await);
        }
        let id = RequestContext::of(request.extensions()).id().to_string();
        let actor = actor(&request, &id);
        // Handlers that write from other tasks take it from here.
        request.extensions_mut().insert(actor.clone());
        let response = routed(routes, request).await;
        self.record(&actor, response.status()).await;
        Ok(response)
    }

    /// Checks the control token of a request that this process answers, as api-server would if it requires one. Returns
    /// the request, and the refusal of api-server.
    ///
    /// # Errors
    /// Returns the refusal of this process.
    pub(super) async fn checked(
        &self,
        server: Option<&InstanceRecord>,
        request: Request<RequestBody>,
    ) -> Result<(Request<RequestBody>, Option<Response<ResponseBody>>), ApiError> {
        let Some(server) = server.filter(|server| server.requires_token) else {
            self.token.admit(request.headers(), request.extensions().get())?;
            return Ok((request, None));
        };
        let (head, body) = request.into_parts();
        let refusal = self.refusal(server, &head).await?;
        Ok((Request::from_parts(head, body), refusal))
    }
}

async fn routed(routes: Router, request: Request<RequestBody>) -> Response<ResponseBody> {
    let Ok(response) = routes.oneshot(request.map(Body::new)).await;
    response.map(ResponseBody::Api)
}
