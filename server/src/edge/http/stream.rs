//! `GET /v1/stream`: hands the request to the adapter of the stream.

use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use sealpost_api::problem::ProblemCode;

use super::guard::ClientNetwork;
use super::{Http, HttpError};

/// Upgrades to a WebSocket that carries protobuf frames.
#[utoipa::path(get, path = "/v1/stream", tag = "stream",
    responses((status = 101, description = "The stream begins. Without an `Authorization` header the first frame is `Auth`.")))]
pub(super) async fn stream(http: web::Data<Http>, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let network = request.extensions().get::<ClientNetwork>().map_or([0; 16], |network| network.0);
    let place = http.streams.take(network).ok_or(ProblemCode::TooManyConnections)?;
    Ok(crate::edge::ws::upgrade(&request, &http.services, &http.settings.origins, place).await?)
}
