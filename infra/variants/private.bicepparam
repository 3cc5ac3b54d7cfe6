// The stores and the vault only in a network, which is made.
using '../main.bicep'

param allowedApprovers = 'alice@example.com'
param privateNetwork = true
param networkAddresses = '10.20.0.0/22'
param tags = { costCenter: '1234', dataClass: 'confidential' }
