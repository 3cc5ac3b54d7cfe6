//! The settings that say which gate is trusted, and how it is called.

use human_oversight_client::receipt::thumbprint;

use super::{APPROVE, AskProcess, Fixture};
use crate::deadline::within;
use crate::harness::mails;

#[tokio::test]
async fn a_gate_is_trusted_as_the_settings_say() {
    let fixture = Fixture::with("touch ran").await;
    let keys = fixture.gate.client().keys().await.unwrap();
    let thumbprint = thumbprint(&keys.keys[0]);
    let other = "A".repeat(43);
    let both = format!("{other}, {thumbprint}");
    let file = fixture.dir.path().join("keys.json");
    std::fs::write(&file, serde_json::to_vec(&keys).unwrap()).unwrap();
    let revoked = fixture.dir.path().join("revoked.json");
    let mut none = keys.clone();
    none.keys.iter_mut().for_each(|key| key.life.revoked = true);
    std::fs::write(&revoked, serde_json::to_vec(&none).unwrap()).unwrap();
    let (file, issuer) = (file.to_str().unwrap(), keys.issuers[0].as_str());
    let revoked = revoked.to_str().unwrap();
    let wrong = "https://elsewhere.example.com";
    for (settings, code, why) in [
        (&[("HO_URL", "http://gate.example.com")][..], 2, "https://"),
        (&[("HO_KEYS", &thumbprint)], 2, "HO_ISSUER"),
        (&[("HO_KEYS", "no-such-file")], 2, "HO_KEYS must be"),
        (&[("HO_KEYS", "/dev/null")], 2, "no JWK set"),
        (&[("HO_KEYS", &other), ("HO_ISSUER", issuer)], 3, "HO_KEYS"),
        (&[("HO_KEYS", revoked)], 3, "only revoked ones"),
        (&[("HO_ISSUER", wrong)], 2, "HO_ISSUER"),
    ] {
        let mut ask = fixture.command(&[], &["./deploy.sh"]);
        let output = within(ask.envs(settings.iter().copied()).output())
            .await
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{settings:?}: {said}");
        assert!(said.contains(why), "{settings:?}: {said}");
    }
    assert_eq!(mails(&fixture.dir.path().join("mail")).len(), 0);
    for settings in [
        &[("HO_KEYS", file)][..],
        &[("HO_KEYS", &both), ("HO_ISSUER", issuer)],
        // An address without a listener: what is on this machine is called without a proxy.
        &[
            ("http_proxy", "http://127.0.0.1:9"),
            ("ALL_PROXY", "http://127.0.0.1:9"),
        ],
    ] {
        let mut command = fixture.command(&[], &["./deploy.sh"]);
        command.envs(settings.iter().copied());
        let mut ask = AskProcess::start(command).await;
        fixture.decide(&ask, APPROVE).await;
        let (ended, _, said) = ask.wait().await;
        assert_eq!(ended.code(), Some(0), "{settings:?}: {said}");
    }
}
