//! Makes routes, and deletes them.

use common::netlink::NewRoute;

use super::{Executor, StepError};
use crate::model::change::RouteSpec;

impl Executor {
    pub(super) fn add_route(&mut self, way: &RouteSpec) -> Result<(), StepError> {
        let route = self.route(way)?;
        Ok(self.socket(way.place)?.add_route(&route)?)
    }

    pub(super) fn delete_route(&mut self, way: &RouteSpec) -> Result<(), StepError> {
        let route = self.route(way)?;
        Ok(self.socket(way.place)?.delete_route(&route)?)
    }

    fn route(&mut self, way: &RouteSpec) -> Result<NewRoute, StepError> {
        Ok(NewRoute {
            destination: way.to,
            gateway: way.via,
            index: self.index(way.place, &way.link)?,
            source: way.source,
            metric: way.metric,
            table: way.table,
            protocol: way.protocol,
            scope: way.scope,
            on_link: way.on_link,
        })
    }
}
