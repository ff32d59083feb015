//! Routes that are no longer as we left them.

use common::netlink::Route;

use crate::model::change::{MAIN, RouteSpec};
use crate::model::snapshot::NetnsState;
use crate::plan::routes::effective;

pub(super) fn is_gone(way: &RouteSpec, side: &NetnsState) -> Option<String> {
    (!routed(side, way)).then(|| format!("{} is gone", name_of(way)))
}

pub(super) fn is_back(way: &RouteSpec, side: &NetnsState) -> Option<String> {
    routed(side, way).then(|| format!("{}, which was removed, is back", name_of(way)))
}

fn routed(side: &NetnsState, way: &RouteSpec) -> bool {
    let index = side.link(way.link.as_str()).map(|link| link.index);
    side.routes.iter().any(|route: &Route| {
        route.table == way.table
            && route.is_unicast()
            && route.destination == way.to
            && route.gateway == way.via
            && route.index == index
            && effective(way.to, route.metric) == effective(way.to, way.metric)
    })
}

fn name_of(way: &RouteSpec) -> String {
    let route = match way.to.prefix_len() {
        0 => "the default route".to_owned(),
        _ => format!("the route to {}", way.to),
    };
    if way.table == MAIN { route } else { format!("{route} in table {}", way.table) }
}
