//! Makes rules of policy routing, and deletes them.

use common::cidr::Cidr;
use common::netlink::NewRule;

use super::{Executor, StepError};
use crate::model::change::SourceRule;

impl Executor {
    pub(super) fn add_rule(&mut self, rule: &SourceRule) -> Result<(), StepError> {
        Ok(self.socket(rule.netns)?.add_rule(&new(rule))?)
    }

    pub(super) fn delete_rule(&mut self, rule: &SourceRule) -> Result<(), StepError> {
        Ok(self.socket(rule.netns)?.delete_rule(&new(rule))?)
    }
}

fn new(rule: &SourceRule) -> NewRule {
    NewRule { source: Cidr::host(rule.source), table: rule.table, priority: rule.priority }
}
