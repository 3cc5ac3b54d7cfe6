// The organisation's policy decides who approves, in a network whose names a policy of Azure makes.
using '../main.bicep'

param allowedApprovers = 'dana@example.com,piotr@example.com'
param policy = loadTextContent('../../examples/policies/deletions.toml')
param privateNetwork = true
param publicVault = true
param publicPackage = true
param operatorIps = ['198.51.100.7']
param dnsZones = 'none'
param requireEntraFor = 'Delete *'
param entraClientId = '22222222-3333-4444-5555-666666666666'
param settings = {
  HO_BRAND_CONTACT: 'Ask the operators of this gate.'
}
