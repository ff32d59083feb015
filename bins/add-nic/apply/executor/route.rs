//! Makes routes, and deletes them.

use common::netlink::NewRoute;

use super::{Executor, StepError};
use crate::model::change::RouteSpec;

impl Executor {
    pub(super) fn add_route(&mut self, spec: &RouteSpec) -> Result<(), StepError> {
        let route = self.route(spec)?;
        Ok(self.socket(spec.netns)?.add_route(&route)?)
    }

    pub(super) fn delete_route(&mut self, spec: &RouteSpec) -> Result<(), StepError> {
        let route = self.route(spec)?;
        Ok(self.socket(spec.netns)?.delete_route(&route)?)
    }

    fn route(&mut self, spec: &RouteSpec) -> Result<NewRoute, StepError> {
        Ok(NewRoute {
            destination: spec.to,
            gateway: spec.via,
            index: self.index(spec.netns, &spec.link)?,
            source: spec.source,
            metric: spec.metric,
            table: spec.table,
            protocol: spec.protocol,
            scope: spec.scope,
            on_link: spec.on_link,
        })
    }
}
