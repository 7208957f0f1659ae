//! The stream: hands the request to its adapter.

use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use sealpost_api::problem::ProblemCode;
use sealpost_api::stream::OpenStream;

use super::problem::HttpError;
use super::route::{Route, route};
use super::state::{ClientNetwork, Http};

pub(super) const ROUTES: &[Route] = &[route!(OpenStream, [ConnectDevice], raw open)];

async fn open(http: web::Data<Http>, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let network = request.extensions().get::<ClientNetwork>().map_or([0; 16], |network| network.0);
    let place = http.streams.take(network).ok_or(ProblemCode::TooManyConnections)?;
    Ok(crate::edge::ws::upgrade(&request, &http.services, &http.settings.origins, place).await?)
}
