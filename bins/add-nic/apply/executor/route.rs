//! Makes routes, and deletes them.

use common::netlink::{ANYCAST, NewRoute, UNICAST};

use super::{Executor, StepError};
use crate::model::change::{BY_HAND, LOCAL, LinkAnchor, RouteSpec};
use crate::model::netns::Netns;

impl Executor {
    pub(super) fn add_route(&mut self, spec: &RouteSpec) -> Result<(), StepError> {
        let route = self.route(spec)?;
        Ok(self.socket(spec.netns)?.add_route(&route)?)
    }

    pub(super) fn delete_route(&mut self, spec: &RouteSpec) -> Result<(), StepError> {
        let route = self.route(spec)?;
        Ok(self.socket(spec.netns)?.delete_route(&route)?)
    }

    pub(super) fn add_anchor(&mut self, anchor: &LinkAnchor) -> Result<(), StepError> {
        let route = self.anchor(anchor)?;
        Ok(self.socket(Netns::Host)?.add_route(&route)?)
    }

    pub(super) fn delete_anchor(&mut self, anchor: &LinkAnchor) -> Result<(), StepError> {
        let route = self.anchor(anchor)?;
        Ok(self.socket(Netns::Host)?.delete_route(&route)?)
    }

    /// Of a kind that receives nothing and sends nothing: it is only there to be looked up.
    fn anchor(&mut self, anchor: &LinkAnchor) -> Result<NewRoute, StepError> {
        Ok(NewRoute {
            destination: anchor.network(),
            gateway: None,
            index: self.index(Netns::Host, &anchor.link)?,
            source: None,
            metric: 0,
            table: LOCAL,
            protocol: BY_HAND,
            scope: anchor.scope(),
            kind: ANYCAST,
            on_link: false,
        })
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
            kind: UNICAST,
            on_link: spec.on_link,
        })
    }
}
