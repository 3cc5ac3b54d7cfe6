// Email through a relay with a password, which the vault has; a report in Desktop with the account's key.
using '../main.bicep'

param stem = 'gate'
param allowedApprovers = 'alice@example.com'
param mail = 'smtp'
param mailFrom = 'gate@example.com'
param smtpUrl = 'smtps://gate@relay.example.com:465'
param smtpPassword = true
param tableName = 'requests'
param allowSharedKeys = true
