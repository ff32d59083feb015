//! Shows what happens, for people or as JSON.

use common::failure::{self, Failure};
use common::output::one_line;

use super::course::Course;
use super::json;
use super::lines::{self, Lines};
use super::manner::{Manner, Show};
use super::verdict::Verdict;
use crate::TOOL;
use crate::resolve::Origin;

/// What is shown, and how.
#[derive(Debug)]
pub struct Report<'a> {
    /// The container's name.
    from: &'a str,
    show: Show,
    lines: Lines,
}

impl<'a> Report<'a> {
    pub fn new(from: &'a str, show: Show) -> Self {
        Report { from, show, lines: Lines::new(show) }
    }

    /// Who is pinged.
    pub fn begins(&self, courses: &[Course], manner: &Manner, origin: &Origin) -> Result<(), Failure> {
        if self.show.json {
            return Ok(());
        }
        courses.iter().try_for_each(|course| self.lines.begins(&course.to, manner.payload_bytes, origin))
    }

    /// All that has happened to a course since.
    pub fn news(&mut self, course: &mut Course) -> Result<(), Failure> {
        let news = course.news();
        for happened in &news {
            match self.show.json {
                true => json::happened(happened, self.from, course)?,
                false => self.lines.happened(happened, course)?,
            }
        }
        course.give_back(news);
        Ok(())
    }

    /// Shows the dots of a flood.
    pub fn catch_up(&mut self) -> Result<(), Failure> {
        self.lines.catch_up()
    }

    /// How it was all in all; and where nothing came back, how far it got.
    pub fn summary(&mut self, course: &Course, verdict: Option<Verdict>) -> Result<(), Failure> {
        if self.show.json {
            json::summary(self.from, course, verdict.as_ref())?;
        } else {
            self.lines.catch_up()?;
            lines::summary(course)?;
        }
        if course.dropped() > 0 {
            failure::say(
                TOOL,
                format_args!(
                    "{}: the kernel dropped {} answers that came faster than they could be read",
                    one_line(&course.to.name),
                    course.dropped()
                ),
            );
        }
        if let Some(Verdict { what, next }) = verdict {
            let mut failure = Failure::no(one_line(&course.to.name), what);
            failure.hint = next;
            failure::report(TOOL, &failure);
        }
        Ok(())
    }
}
