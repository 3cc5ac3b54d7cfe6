// The keys of links and receipts. scripts/vault-keys makes and writes them; no template ever holds one.

@description('The vault\'s name.')
param name string

@description('Where.')
param location string

@description('The gate\'s identity.')
param principalId string

@description('Who may put the keys in.')
param keyWriter string

@description('Whether nothing can be removed for good before 90 days are over.')
param purgeProtection bool

@description('Whether the vault is reached through a private endpoint.')
param privateNetwork bool

@description('From which addresses it can be reached all the same.')
param operatorIps array

var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6' // Key Vault Secrets User
var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7' // Key Vault Secrets Officer

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    // Azure takes true or nothing.
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: privateNetwork && empty(operatorIps) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
      ipRules: [for ip in operatorIps: { value: ip }]
    }
  }
}

resource mayRead 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, secretsUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

resource mayWrite 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(keyWriter)) {
  name: guid(vault.id, keyWriter, secretsOfficer)
  scope: vault
  properties: {
    principalId: keyWriter
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsOfficer)
  }
}

@description('The vault.')
output id string = vault.id

@description('Its name.')
output name string = vault.name

@description('Its address, with a slash at the end.')
output uri string = vault.properties.vaultUri
