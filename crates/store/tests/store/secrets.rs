//! Where secrets are not, and until when they can be shown.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::time::UnixMillis;
use doorward_store::{Display, Purpose, Store};

on_both_engines!(no_secret_is_in_any_file, a_secret_is_shown_until_its_window_closes,);

const FIRST: &str = "dws_Zk3vQ8xT1mB7nR5pL2wY9cH4jF6gD0sA";
const SECOND: &str = "dws_Xe9uWq2yR7tB1nM4kJ8hG5fD3sA6pO0i";

fn shown_until(secret: &str, until: Option<i64>) -> Option<Display> {
    Some(Display { secret: secret.to_owned(), until: until.map(|ms| UnixMillis(NOW.0 + ms)) })
}

fn at(ms: i64) -> UnixMillis {
    UnixMillis(NOW.0 + ms)
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|w| w == needle)
}

/// RFC 4648 section 4, without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let mut n = [0; 4];
        n[1..=three.len()].copy_from_slice(three);
        let n = u32::from_be_bytes(n);
        out.extend((0..=three.len()).map(|i| char::from(DIGITS[(n >> (18 - 6 * i)) as usize & 63])));
    }
    out
}

/// A secret in every spelling that a search would look for; base64 at each of the three alignments, whole groups only.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
    let mut all = vec![secret.as_bytes().to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    for skip in 0..3 {
        let whole = &secret.as_bytes()[skip..];
        all.push(base64(&whole[..whole.len() / 3 * 3]).into_bytes());
    }
    all
}

#[test]
fn the_search_finds_what_it_looks_for() {
    assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    for before in ["", "a", "ab"] {
        let hidden = base64(format!("{before}{FIRST}").as_bytes());
        assert!(spellings(FIRST).iter().any(|s| contains(hidden.as_bytes(), s)), "{before}");
    }
}

async fn no_secret_is_in_any_file() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "kept", FIRST, shown_until(FIRST, None)).await;
    create(&store, "bare", FIRST, None).await;
    create_signer(&store, "signs", FIRST).await;
    let again = signer(&store.keys(), "signs", SECOND);
    let mut write = store.write("ann", NOW).await.unwrap();
    let display = shown_until(SECOND, Some(900_000));
    assert!(!format!("{display:?} {write:?} {store:?}").contains(SECOND));
    write
        .replace_secret("kept", keys().hash(b"kept", SECOND.as_bytes()), None, display, false)
        .await
        .unwrap();
    write.replace_secret("signs", again.secret, again.signing, None, false).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(store.reveal("kept", NOW).await.unwrap().as_deref(), Some(SECOND));
    let signs = store.credential("signs").await.unwrap();
    assert!(!format!("{signs:?}").contains(SECOND));
    assert_eq!(signs_with(&store, "signs").await.as_deref(), Some(SECOND));
    assert_eq!(store.reveal("signs", NOW).await.unwrap(), None, "what must stay may not be shown");
    for _ in 0..2 {
        let bytes = place.bytes().await;
        assert!(contains(&bytes, b"kept"), "the search looks at the right files");
        for secret in [FIRST, SECOND] {
            for spelling in spellings(secret) {
                assert!(!contains(&bytes, &spelling), "{}", String::from_utf8_lossy(&spelling));
            }
        }
        // Once with the log of recent writes, once without.
        store.close().await;
    }
}

async fn a_secret_is_shown_until_its_window_closes() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "always", FIRST, shown_until(FIRST, None)).await;
    create(&store, "awhile", FIRST, shown_until(FIRST, Some(1_000))).await;
    create(&store, "never", FIRST, None).await;
    let sees = async |id: &str, ms| store.reveal(id, at(ms)).await.unwrap();
    assert_eq!(sees("awhile", 999).await.as_deref(), Some(FIRST));
    assert_eq!(sees("awhile", 1_000).await, None);
    // The clock may go back; what is erased stays so.
    assert_eq!(sees("awhile", 0).await, None);
    assert_eq!(sees("always", i64::MAX - NOW.0).await.as_deref(), Some(FIRST));
    assert_eq!((sees("never", 0).await, sees("nobody", 0).await), (None, None));

    let mut write = store.write("ann", at(2_000)).await.unwrap();
    let secret = keys().hash(b"always", SECOND.as_bytes());
    write.replace_secret("always", secret, None, shown_until(SECOND, Some(3_000)), false).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(sees("always", 2_000).await.as_deref(), Some(SECOND));
    let mut write = store.write("ann", at(2_100)).await.unwrap();
    write.replace_secret("always", keys().hash(b"always", b"third"), None, None, false).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(sees("always", 2_200).await, None);
    store.check().await.unwrap();
}

/// Erased means that not even the sealed copy is left, so the master key does not help.
#[tokio::test]
async fn an_erased_copy_is_in_no_file() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    for n in 0..30 {
        create(&store, &format!("k{n}"), FIRST, shown_until(FIRST, Some(1_000 + n))).await;
    }
    let hex = ask(&place.db(), "SELECT lower(hex(sealed)) FROM secret_display").await;
    let sealed: Vec<Vec<u8>> = hex
        .iter()
        .map(|h| (0..h.len()).step_by(2).map(|i| u8::from_str_radix(&h[i..i + 2], 16).unwrap()).collect())
        .collect();
    assert_eq!(sealed.len(), 30);
    let held = async |place: &Place| {
        let bytes = place.bytes().await;
        sealed.iter().filter(|s| contains(&bytes, s)).count()
    };
    assert_eq!(held(&place).await, 30);
    assert_eq!(store.erase_closed(at(1_009)).await.unwrap(), 10);
    assert_eq!(held(&place).await, 20);
    // Opening does it, too.
    Store::open(&url(&place.db()), &master(), Purpose::Own, at(5_000)).await.unwrap();
    assert_eq!(held(&place).await, 0);
}
