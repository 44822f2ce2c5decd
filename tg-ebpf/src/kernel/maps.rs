//! Maps out of the object. Changes when how they are found does.

use super::error::ObserveError;
use aya::Ebpf;
use aya::maps::{Map, MapError};

/// Takes a map as what it is.
pub fn take<T: TryFrom<Map, Error = MapError>>(bpf: &mut Ebpf, name: &'static str) -> Result<T, ObserveError> {
    let wrong = |error: String| ObserveError::Map { name, error };
    let map = bpf.take_map(name).ok_or_else(|| wrong("it is not in the object".into()))?;
    T::try_from(map).map_err(|e| wrong(e.to_string()))
}
