//! Resolves names for attempts on a thread of its own: the packet thread never waits for a resolver.

use super::prepare::resolve;
use crate::engine::Token;
use crossbeam::channel::{self, Receiver, Sender};
use std::net::SocketAddr;
use std::sync::Arc;
use tg_model::journal::RunEvent;
use tg_model::plan::Plan;

/// What became of a question.
#[derive(Debug)]
pub(super) struct Answer {
    pub token: Token,
    pub outcome: Result<SocketAddr, String>,
    pub event: Option<RunEvent>,
}

/// Takes questions, gives answers. Its thread ends when it is dropped and the last answer is there.
#[derive(Debug)]
pub(super) struct Resolver {
    questions: Sender<(Token, usize)>,
    answers: Receiver<Answer>,
    waiting: u32,
}

impl Resolver {
    /// A resolver for a plan's targets, for a shard of `slots` slots: each asks at most one question at
    /// a time.
    pub fn start(plan: Arc<Plan>, slots: u32) -> std::io::Result<Resolver> {
        // A slot whose attempt was given up may ask again before its first answer came.
        let room = slots as usize * 2;
        let (questions, asked) = channel::bounded::<(Token, usize)>(room);
        let (answer, answers) = channel::bounded(room);
        std::thread::Builder::new().name("tg-resolver".into()).spawn(move || {
            for (token, target) in asked {
                let (outcome, event) = resolve(&plan.targets[target], plan.family);
                if answer.send(Answer { token, outcome, event }).is_err() {
                    return;
                }
            }
        })?;
        Ok(Resolver { questions, answers, waiting: 0 })
    }

    /// Asks for a target's address. False where too many questions wait already.
    pub fn ask(&mut self, token: Token, target: usize) -> bool {
        let asked = self.questions.try_send((token, target)).is_ok();
        self.waiting += u32::from(asked);
        asked
    }

    /// Questions without an answer.
    pub fn waiting(&self) -> bool {
        self.waiting > 0
    }

    /// An answer that has come.
    pub fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.try_recv().ok()?;
        self.waiting -= 1;
        Some(answer)
    }
}
