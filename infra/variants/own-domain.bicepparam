// Email from a domain of your own, once its records are verified, with reports on what did not arrive; in three zones,
// with all that can be recorded.
using '../main.bicep'

param allowedApprovers = 'alice@example.com'
param mailDomain = 'mail.example.com'
param mailDomainVerified = true
param deliveryReports = true
param mailFrom = 'gate@mail.example.com'
param baseUrl = 'https://gate.example.com'
param redundancy = 'Standard_GZRS'
param zoneRedundant = true
param alwaysReady = 2
param diagnostics = 'all'
param diagnosticsWorkspace = '/subscriptions/00000000-0000-0000-0000-000000000009/resourceGroups/rg-logs/providers/Microsoft.OperationalInsights/workspaces/log-central'
param readers = ['33333333-4444-5555-6666-777777777777']
param secretDays = 365
