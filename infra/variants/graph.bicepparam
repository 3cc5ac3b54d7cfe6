// Email from a Microsoft 365 mailbox; called from one office and published from one address; nothing recorded.
using '../main.bicep'

param allowedApprovers = 'alice@example.com'
param mail = 'graph'
param mailbox = 'gate@example.com'
param callerIps = ['198.51.100.0/24', '2001:db8::/32']
param operatorIps = ['198.51.100.7']
param diagnostics = 'none'
param keyWriter = ''
