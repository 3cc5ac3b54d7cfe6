// A room of Teams, and a webhook that also calls agents back. Where values are real, they come from the
// environment: `readEnvironmentVariable('LEDGER_URL')`.
using '../main.bicep'

param allowedApprovers = 'maria@example.com,lena@example.com'
param policy = loadTextContent('channels.toml')
param channels = {
  HO_CHANNEL_FINANCE_ROOM: 'https://teams.example.com/workflows/1?sig=example'
  HO_CHANNEL_LEDGER: 'https://ledger.example.com/hooks'
  HO_CHANNEL_LEDGER_SECRET: 'whsec_bm8gc2VjcmV0OiBpdCBzdGFuZHMgaW4gYSBmaWxlLg=='
}
