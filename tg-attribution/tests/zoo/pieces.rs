//! Taking one piece of evidence away lowers what rests on it, and nothing else.
