// The keys of links and receipts, which scripts/vault-keys generates and writes (no template contains one), and the
// secrets of channels, which the parameter of that name brings.

@description('The name of the vault.')
param name string

@description('The location.')
param location string

@description('The tags of each resource.')
param tags { *: string }

@description('The gate\'s managed identity.')
param principalId string

@description('The object id that may write the keys until scripts/vault-keys ends that; empty: none.')
param keyWriter string

@description('The URLs and secrets of channels, by their settings.')
@secure()
param channels { *: string }

@description('Whether deleted secrets can be purged only after 90 days.')
param purgeProtection bool

@description('Whether the vault is reached through a private endpoint.')
param privateNetwork bool

@description('The addresses that can reach the vault nevertheless.')
param operatorIps string[]

@description('What the diagnostic settings record.')
param diagnostics string

@description('The workspace of the diagnostic settings.')
param workspaceId string

var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6' // Key Vault Secrets User
var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7' // Key Vault Secrets Officer

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    // Azure accepts only true or no value.
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: privateNetwork && empty(operatorIps) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateNetwork ? 'Deny' : 'Allow'
      ipRules: [for ip in operatorIps: { value: ip }]
    }
  }
}

// Resource Manager writes them, also into a vault that is closed to the deployer's network.
resource channelSecrets 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = [
  for channel in items(channels): {
    parent: vault
    name: toLower(replace(channel.key, '_', '-'))
    properties: {
      value: channel.value
      contentType: 'The setting ${channel.key} of the gate'
    }
  }
]

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

// The stable version, of 2016, knows no groups of categories.
#disable-next-line use-recent-api-versions
resource record 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnostics != 'none') {
  name: 'gate'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: diagnostics == 'all' ? 'allLogs' : 'audit'
        enabled: true
      }
    ]
  }
}

@description('The resource id of the vault.')
output id string = vault.id

@description('The name of the vault.')
output name string = vault.name

@description('The address of the vault, with a trailing slash.')
output uri string = vault.properties.vaultUri

@description('The role assignment of the account that writes the keys; empty: none.')
output writerRole string = empty(keyWriter) ? '' : mayWrite.id
