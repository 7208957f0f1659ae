//! Every route of the server, put together from the resources' tables.

use actix_web::http::Method;
use actix_web::web;
use sealpost_api::endpoint::{Access, Metadata};
use sealpost_api::endpoints;
use sealpost_sabotage::{Countermeasure, without};

use super::route::Route;
use super::{accounts, devices, prekeys, problem, server, sessions, stream};

/// The routes of each resource.
const TABLES: &[&[Route]] =
    &[server::ROUTES, accounts::ROUTES, devices::ROUTES, prekeys::ROUTES, sessions::ROUTES, stream::ROUTES];

const _: () = assert!(
    each_endpoint_has_one_route(),
    "an endpoint of the API has no route here, or more than one: look at ROUTES in its resource's file"
);

/// Returns every route, in the order in which paths are matched.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    endpoints::all()
        .filter_map(|endpoint| TABLES.iter().copied().flatten().find(|route| route.endpoint.name == endpoint.name))
}

const fn each_endpoint_has_one_route() -> bool {
    let mut resources = endpoints::ENDPOINTS;
    while let [endpoints, more @ ..] = resources {
        let mut endpoints: &[Metadata] = endpoints;
        while let [endpoint, others @ ..] = endpoints {
            if count(endpoint.name) != 1 {
                return false;
            }
            endpoints = others;
        }
        resources = more;
    }
    true
}

const fn count(name: &str) -> usize {
    let (mut count, mut tables) = (0, TABLES);
    while let [table, more @ ..] = tables {
        let mut table: &[Route] = table;
        while let [route, others @ ..] = table {
            if same(route.endpoint.name.as_bytes(), name.as_bytes()) {
                count += 1;
            }
            table = others;
        }
        tables = more;
    }
    count
}

const fn same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([first, rest @ ..], [second, more @ ..]) = (one, other) {
        if *first != *second {
            return false;
        }
        (one, other) = (rest, more);
    }
    one.is_empty() && other.is_empty()
}

/// Registers every route. Each path is one resource, which answers any other method with the list of those that it has.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    let mut paths: Vec<&str> = Vec::new();
    for route in routes() {
        if !paths.contains(&route.endpoint.path) {
            paths.push(route.endpoint.path);
        }
    }
    for path in paths {
        let of_path = || routes().filter(move |route| route.endpoint.path == path);
        let allow = of_path().map(|route| route.endpoint.method.as_str()).collect::<Vec<_>>().join(", ");
        let mut resource = web::resource(path);
        for route in of_path() {
            resource = resource.route((route.handler)(web::method(method(route.endpoint.method))));
        }
        let refused = web::to(move || {
            let response = problem::method_not_allowed(&allow);
            async move { response }
        });
        config.service(resource.default_service(refused));
    }
    planted_metrics(config);
}

/// Opens a path of the private listener to everyone, in a build that leaves the countermeasure out.
fn planted_metrics(config: &mut web::ServiceConfig) {
    if without(Countermeasure::ClosedRoutes) {
        config.route("/metrics", web::to(server::check_health_raw));
    }
}

fn method(method: sealpost_api::endpoint::Method) -> Method {
    use sealpost_api::endpoint::Method as Of;
    match method {
        Of::Get => Method::GET,
        Of::Post => Method::POST,
        Of::Put => Method::PUT,
        Of::Delete => Method::DELETE,
    }
}

/// Returns the routes as text, one a line: method, path, access and limits.
#[must_use]
pub fn listing() -> String {
    let mut text = String::new();
    for route in routes() {
        let endpoint = &route.endpoint;
        let access = match endpoint.access {
            Access::Anyone => "anyone",
            Access::Session => "access token",
            Access::Stream => "access token or first frame",
        };
        let limits: Vec<&str> = route.limits.iter().map(|limit| limit.rule().name).collect();
        let line = format!("{:<6} {:<38} {access:<27} {}", endpoint.method.as_str(), endpoint.path, limits.join(" "));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
