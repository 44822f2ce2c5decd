//! Tests of `bzimage`: images made up here, right and wrong.

use super::*;
use proptest::prelude::*;

/// `b"\x7fELF, made up\n"`, by `xz --x86 --lzma2 --check=crc32` and by `zstd`.
const ELF: &[u8] = b"\x7fELF, made up\n";
const XZ: &[u8] = b"\xfd7zXZ\x00\x00\x01i\x22\xde6\x02\x01\x04\x00!\x01\x1a\x00\x01\xc9\x80\xb3\x01\x00\x0d\x7fELF, made up\x0a\x00\x00\x00\xcb\xc6\x9c\x88\x00\x01\x22\x0e\x0c\xde\x8c`\x90B\x99\x0d\x01\x00\x00\x00\x00\x01YZ";
const ZSTD: &[u8] = b"(\xb5/\xfd\x04\x88q\x00\x00\x7fELF, made up\x0a\x7fa\xa13";

/// An image with `setup` sectors (0 stands for 4) and this payload, `gap` bytes after its start.
fn image(setup: u8, gap: usize, packed: &[u8], length: u32) -> Vec<u8> {
    let sectors = if setup == 0 { 4 } else { usize::from(setup) };
    let mut image = vec![0; (sectors + 1) * 512 + gap];
    image.resize(image.len().max(1024), 0);
    image[SETUP_SECTORS] = setup;
    image[SIGNATURE..SIGNATURE + 4].copy_from_slice(b"HdrS");
    image[VERSION..VERSION + 2].copy_from_slice(&0x020f_u16.to_le_bytes());
    let offset = u32::try_from(image.len() - (sectors + 1) * 512).unwrap();
    image[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&offset.to_le_bytes());
    let whole = u32::try_from(packed.len() + 4).unwrap();
    image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&whole.to_le_bytes());
    image.extend_from_slice(packed);
    image.extend_from_slice(&length.to_le_bytes());
    image.extend_from_slice(b"what follows");
    image
}

fn good(packed: &[u8]) -> Vec<u8> {
    image(3, 100, packed, u32::try_from(ELF.len()).unwrap())
}

#[test]
fn the_kernel_comes_out_of_both_compressions() {
    assert_eq!(kernel(&good(XZ)).unwrap(), ELF);
    assert_eq!(kernel(&good(ZSTD)).unwrap(), ELF);
}

#[test]
fn no_setup_sectors_means_four() {
    let image = image(0, 0, XZ, 14);
    assert_eq!(payload(&image).unwrap(), Payload { compression: Compression::Xz, bytes: XZ, length: 14 });
}

#[test]
fn what_is_no_image_is_refused() {
    assert!(matches!(kernel(b""), Err(ImageError::NotAnImage("too short"))));
    assert!(matches!(kernel(&[0; 4096]), Err(ImageError::NotAnImage("no signature"))));
    let mut old = good(XZ);
    old[VERSION..VERSION + 2].copy_from_slice(&0x0207_u16.to_le_bytes());
    assert!(matches!(kernel(&old), Err(ImageError::NotAnImage(_))));
}

#[test]
fn a_payload_outside_of_the_image_is_refused() {
    let whole = good(XZ);
    let end = whole.len() - b"what follows".len();
    assert!(matches!(kernel(&whole[..end - 1]), Err(ImageError::Cut)));
    assert!(kernel(&whole[..end]).is_ok());
    let mut far = whole;
    far[PAYLOAD_OFFSET..PAYLOAD_LENGTH + 4].fill(0xff);
    assert!(matches!(kernel(&far), Err(ImageError::Cut)));
}

#[test]
fn another_compression_is_named_by_its_first_bytes() {
    let error = kernel(&good(b"\x1f\x8b\x08 gzip")).unwrap_err();
    assert!(error.to_string().contains("[1f, 8b, 08"), "{error}");
}

#[test]
fn another_length_than_promised_is_refused() {
    for length in [13, 15, 256 << 20] {
        for packed in [XZ, ZSTD] {
            let result = kernel(&image(3, 0, packed, length));
            assert!(matches!(result, Err(ImageError::Length { .. })), "{length}: {result:?}");
        }
    }
}

#[test]
fn no_image_fills_the_memory() {
    let result = kernel(&image(3, 0, XZ, (256 << 20) + 1));
    assert!(matches!(result, Err(ImageError::TooLong(_))), "{result:?}");
}

#[test]
fn damage_within_the_payload_is_found() {
    for packed in [XZ, ZSTD] {
        let mut damaged = packed.to_vec();
        let middle = damaged.iter().position(|b| *b == b'E').unwrap();
        damaged[middle + 4] ^= 1;
        assert!(matches!(kernel(&good(&damaged)), Err(ImageError::Unpack(_))));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = kernel(&bytes);
    }

    /// The same with a header that leads on to the unpacking.
    #[test]
    fn no_image_makes_it_panic(
        setup: u8,
        zstd: bool,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut: prop::sample::Index,
    ) {
        let mut packed = if zstd { ZSTD } else { XZ }.to_vec();
        let magic = 6;
        for (at, byte) in changes {
            let at = magic + at.index(packed.len() - magic);
            packed[at] = byte;
        }
        let whole = image(setup, 0, &packed, 14);
        let _ = kernel(&whole);
        let _ = kernel(&whole[..cut.index(whole.len())]);
    }
}
