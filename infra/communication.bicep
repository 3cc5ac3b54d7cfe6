// Email by Azure Communication Services. It is a separate resource, because no built-in role is limited to sending.

@description('The suffix of resource names.')
param name string

@description('The tags of each resource.')
param tags { *: string }

@description('The gate\'s managed identity.')
param principalId string

@description('The geography in which data is stored.')
param dataLocation string

@description('Your own domain; empty: an Azure-managed domain.')
param domain string

@description('Whether the DNS records of your own domain are verified; an unverified domain cannot be linked.')
param domainVerified bool

@description('What the diagnostic settings record.')
param diagnostics string

@description('The workspace of the diagnostic settings.')
param workspaceId string

var emailOwner = '09976791-48a7-449e-bb21-39d1a415f350' // Communication and Email Service Owner

resource email 'Microsoft.Communication/emailServices@2025-09-01' = {
  name: 'email-${name}'
  location: 'global'
  tags: tags
  properties: { dataLocation: dataLocation }
}

resource sender 'Microsoft.Communication/emailServices/domains@2025-09-01' = {
  parent: email
  name: empty(domain) ? 'AzureManagedDomain' : domain
  location: 'global'
  tags: tags
  properties: {
    domainManagement: empty(domain) ? 'AzureManaged' : 'CustomerManaged'
    // Tracking would disclose every clicked link, which is a secret.
    userEngagementTracking: 'Disabled'
  }
}

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' = {
  name: 'acs-${name}'
  location: 'global'
  tags: tags
  properties: {
    dataLocation: dataLocation
    // No access keys: every caller signs in with Entra, and has a role.
    disableLocalAuth: true
    linkedDomains: empty(domain) || domainVerified ? [sender.id] : []
  }
}

resource maySend 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(communication.id, principalId, emailOwner)
  scope: communication
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', emailOwner)
  }
}

// The stable version, of 2016, knows no groups of categories.
#disable-next-line use-recent-api-versions
resource record 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnostics != 'none') {
  name: 'gate'
  scope: communication
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

@description('The id of the resource.')
output id string = communication.id

@description('The endpoint that accepts email.')
output endpoint string = 'https://${communication.properties.hostName}'

@description('The sender of emails.')
output sender string = 'DoNotReply@${sender.properties.mailFromSenderDomain}'
