// The default: email by Communication Services from an Azure-managed domain, with every alert.
using '../main.bicep'

param allowedApprovers = 'alice@example.com,bob@example.com'
param alertEmails = ['operators@example.com']
param tags = { costCenter: '1234' }
