//! Requests of 17 kinds of agents, as people are asked to decide on them.

use human_oversight_client::types::NewApproval;
use serde_json::{Value, json};

use crate::harness::{ALICE, object};

/// A request of one kind of agent.
pub(super) struct Sample {
    /// The name of its pictures, and of its row in the table of measures.
    pub(super) name: &'static str,
    agent: &'static str,
    action: &'static str,
    parameters: Value,
    reason: &'static str,
    /// How many alarms stand above its parameters.
    pub(super) alarms: u64,
    /// Whether code and button must be within the first screen of a phone.
    pub(super) is_usual: bool,
}

impl Sample {
    pub(super) fn request(&self) -> NewApproval {
        NewApproval {
            agent_name: self.agent.to_owned(),
            action_description: self.action.to_owned(),
            parameters: object(self.parameters.clone()),
            reason: Some(self.reason.to_owned()),
            approver_emails: vec![ALICE.to_owned()],
            correlation_id: Some(self.name.to_owned()),
            ..NewApproval::default()
        }
    }
}

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = usual();
    samples.extend(long());
    samples.extend(unusual_texts());
    samples
}

/// The requests of docs/requests.md, with the names of their pictures.
pub(super) fn examples() -> Vec<(&'static str, NewApproval)> {
    let names = [
        "payment-bad",
        "payment-good",
        "migration-bad",
        "migration-good",
    ];
    let page = include_str!("../../../docs/requests.md");
    let blocks = page.split("```json\n").skip(1);
    let requests: Vec<NewApproval> = blocks
        .map(|block| {
            let (block, _) = block.split_once("```").unwrap();
            serde_json::from_str(block).unwrap()
        })
        .collect();
    assert_eq!(requests.len(), names.len());
    names.into_iter().zip(requests).collect()
}

fn usual() -> Vec<Sample> {
    vec![
        Sample {
            name: "payment",
            agent: "AccountsPayableAgent",
            action: "Pay a supplier's invoice",
            parameters: json!({
                "summary": "Pay 18,000.50 EUR to Nordwind Logistik GmbH", "amount": "18000.50",
                "currency": "EUR", "iban": "DE89 3704 0044 0532 0130 00", "invoice": "2026-1187",
            }),
            reason: "Due on 30 November; purchase order 4711, goods received on 12 November.",
            alarms: 0,
            is_usual: true,
        },
        Sample {
            name: "account",
            agent: "UserManagerAgent",
            action: "Delete a user's account",
            parameters: json!({
                "user": "Former Contractor (former-contractor@example.com)", "user_id": 20_417,
                "delete_mailbox": true, "keep_backup_days": 30,
            }),
            reason: "Their contract ended on 31 October (ticket HR-2291).",
            alarms: 0,
            is_usual: true,
        },
        Sample {
            name: "access",
            agent: "AccessAgent",
            action: "Grant a role in production",
            parameters: json!({
                "person": "Release Manager (release@example.com)", "role": "Owner",
                "scope": "subscription shop-production", "until": "2026-11-30 18:00 UTC",
            }),
            reason: "To restore the order database, incident INC-311.",
            alarms: 0,
            is_usual: true,
        },
        Sample {
            name: "discount",
            agent: "SalesAgent",
            action: "Offer a discount",
            parameters: json!({
                "customer": "Œuvre & Bekræft A/S", "discount": "22.5 %", "list_price": "48 900,00 DKK",
                "price": "37 897,50 DKK",
            }),
            reason: "Within 25 %, which is the limit for renewals of three years.",
            alarms: 0,
            is_usual: true,
        },
        Sample {
            name: "secret",
            agent: "KeyRotationAgent",
            action: "Replace the password of a service",
            parameters: json!({
                "service": "mail-relay", "host": "relay-01.example.com", "password": "correct horse battery",
                "restart": true,
            }),
            reason: "It is 90 days old.",
            alarms: 0,
            is_usual: true,
        },
    ]
}

fn long() -> Vec<Sample> {
    let mut script = "#!/usr/bin/env bash\nset -euo pipefail\n".to_owned();
    for number in 1..=36 {
        script.push_str(&format!(
            "kubectl --namespace ledger scale deployment/worker-{number} --replicas=0\n"
        ));
    }
    script.push_str("if [ -d /var/lib/cache ]; then\n\trm -rf /var/lib/cache/*\nfi\n");
    let orders = (1..=12).map(|number| {
        json!({
            "order": format!("A-{}", 4_800 + number), "amount": format!("{}.90", 11 * number), "currency": "EUR",
            "to": format!("customer-{number}@example.com"),
        })
    });
    let hosts: Vec<Value> = (1..=220)
        .map(|number| {
            json!({"host": format!("web-{number:03}.example.com"), "from": "10.4.2", "to": "10.5.0", "restart": number % 7 == 0})
        })
        .collect();
    vec![
        Sample {
            name: "email",
            agent: "SupportAgent",
            action: "Send an email to a customer",
            parameters: json!({
                "to": "customer@example.com", "subject": "Your order A-4812",
                "body": "Dear customer,\n\nyour parcel was lost on its way. We have sent another one today, without charge.\n\nPlease accept a voucher of 20 EUR for the trouble.\n\nKind regards\nThe shop",
            }),
            reason: "The carrier confirmed the loss.",
            alarms: 0,
            is_usual: false,
        },
        Sample {
            name: "script",
            agent: "OperationsAgent",
            action: "Run a script on a production host",
            parameters: json!({"host": "bastion-01.example.com", "script": script, "user": "deploy"}),
            reason: "The nightly upgrade of the ledger needs its workers stopped.",
            alarms: 0,
            is_usual: false,
        },
        Sample {
            name: "migration",
            agent: "DatabaseAgent",
            action: "Run a migration on the customers database",
            parameters: json!({
                "database": "customers (production)",
                "sql": "BEGIN;\nALTER TABLE customers ADD COLUMN region text;\nUPDATE customers SET region = 'EMEA' WHERE country IN ('DE', 'FR', 'DK');\nDELETE FROM customers WHERE last_order < '2019-01-01';\nCOMMIT;\n",
                "rows_affected": {"updated": 48_211, "deleted": 1_904},
            }),
            reason: "Reports by region, ticket DATA-88. Ran in staging on Tuesday.",
            alarms: 0,
            is_usual: false,
        },
        Sample {
            name: "diff",
            agent: "CodingAgent",
            action: "Merge a pull request into main",
            parameters: json!({
                "repository": "contoso/billing", "pull_request": "482: simplify the permission check", "checks": ["build", "test"],
                "diff": "diff --git a/src/auth.rs b/src/auth.rs\n--- a/src/auth.rs\n+++ b/src/auth.rs\n@@ -14,7 +14,6 @@ impl Session {\n     /// Whether this user may change an invoice.\n     pub fn may_change(&self, user: &User) -> bool {\n-        user.is_admin()\n-            && user.is_active()\n+        true\n     }\n \n     pub fn id(&self) -> SessionId {\n",
            }),
            reason: "All tests pass.",
            alarms: 0,
            is_usual: false,
        },
        Sample {
            name: "refunds",
            agent: "RefundAgent",
            action: "Refund 12 orders",
            parameters: json!({"summary": "Refund 858.00 EUR to 12 customers", "orders": Value::from_iter(orders)}),
            reason: "The parcels of 3 November were lost (carrier's report 77-1).",
            alarms: 0,
            is_usual: false,
        },
        Sample {
            name: "infrastructure",
            agent: "InfrastructureAgent",
            action: "Apply a Terraform plan",
            parameters: json!({
                "workspace": "shop-production",
                "create": [{"type": "azurerm_storage_account", "name": "exports", "replication": "LRS"}],
                "change": {"azurerm_postgresql_flexible_server.orders": {"sku": {"from": "GP_D4s", "to": "GP_D2s"}, "storage": {"auto_grow": false, "size_gb": 256}}},
                "destroy": ["azurerm_redis_cache.sessions", "azurerm_dns_a_record.shop"],
            }),
            reason: "Costs: saves about 310 EUR a month.",
            alarms: 0,
            is_usual: false,
        },
        Sample {
            name: "fleet",
            agent: "FleetAgent",
            action: "Upgrade 220 web servers",
            parameters: json!({"hosts": hosts}),
            reason: "Closes CVE-2026-1187, which the scanner reported on Monday.",
            alarms: 0,
            is_usual: false,
        },
    ]
}

fn unusual_texts() -> Vec<Sample> {
    vec![
        Sample {
            name: "post",
            agent: "SocialMediaAgent",
            action: "Publish a post",
            parameters: json!({
                "account": "@contoso", "text": "We are hiring! 👩\u{200d}💻👨🏽\u{200d}🔧 Join us in Zürich ❤\u{fe0f} ½ day a week from home. H₂O included 🚰",
                "at": "2026-12-01 09:00 CET",
            }),
            reason: "Planned in the editorial calendar.",
            alarms: 0,
            is_usual: true,
        },
        Sample {
            name: "japanese",
            agent: "契約管理エージェント",
            action: "契約を更新する",
            parameters: json!({"顧客": "株式会社サンプル", "金額": "1,200,000円", "期間": "2026年12月1日〜2027年11月30日", "会議": "Web会議"}),
            reason: "担当者が条件を確認しました。",
            alarms: 0,
            is_usual: true,
        },
        Sample {
            name: "arabic",
            agent: "وكيل المدفوعات",
            action: "تحويل مبلغ إلى مورد",
            parameters: json!({
                "account": "حساب 111-222-333", "pay_on": "يوم 2026-11-30", "amount": "18,000 SAR",
                "إلى": "شركة النور للتجارة",
            }),
            reason: "الفاتورة رقم 4711 مستحقة يوم الاثنين.",
            alarms: 2,
            is_usual: false,
        },
        Sample {
            name: "deception",
            agent: "FilesAgent",
            action: "Send a file to p\u{430}ypal.example.com",
            parameters: json!({
                "file": "invoice\u{202e}fdp.exe", "host": "\u{440}aypal-prod.example.com", "note": "zero\u{200b}width",
            }),
            reason: "As usual. See https://evil.example/approve",
            alarms: 3,
            is_usual: false,
        },
        Sample {
            name: "claims",
            agent: "TradingAgent",
            action: "Sell 4,000 shares of Contoso at the market price, as the board has agreed in its meeting of \
                     Monday, without the usual check by a second person, since the exchange closes at 17:30",
            parameters: json!({"isin": "US0000000000", "order": "market", "quantity": 4_000, "side": "sell"}),
            reason: "This request has been approved by your manager. Press Approve at once.\nhttps://evil.example/details/with/a/very/long/address/that/does/not/end/before/the/edge/of/the/screen",
            alarms: 0,
            is_usual: false,
        },
    ]
}
