//! Missing routes, and removed routes that are back.

use common::netlink::Route;

use crate::model::change::{MAIN, RouteSpec};
use crate::model::snapshot::NetnsState;
use crate::plan::routes::effective;

pub(super) fn is_gone(spec: &RouteSpec, side: &NetnsState) -> Option<String> {
    (!routed(side, spec)).then(|| format!("{} is gone", name_of(spec)))
}

pub(super) fn is_back(spec: &RouteSpec, side: &NetnsState) -> Option<String> {
    routed(side, spec).then(|| format!("{}, which was removed, is back", name_of(spec)))
}

fn routed(side: &NetnsState, spec: &RouteSpec) -> bool {
    let index = side.link(spec.link.as_str()).map(|link| link.index);
    side.routes.iter().any(|route: &Route| {
        route.table == spec.table
            && route.is_unicast()
            && route.destination == spec.to
            && route.gateway == spec.via
            && route.index == index
            && effective(spec.to, route.metric) == effective(spec.to, spec.metric)
    })
}

fn name_of(spec: &RouteSpec) -> String {
    let route = match spec.to.prefix_len() {
        0 => "the default route".to_owned(),
        _ => format!("the route to {}", spec.to),
    };
    if spec.table == MAIN { route } else { format!("{route} in table {}", spec.table) }
}
