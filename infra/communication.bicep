// Email by Azure Communication Services. It is a separate resource, because no built-in role is limited to sending.

@description('The suffix of resource names.')
param name string

@description('The gate\'s managed identity.')
param principalId string

@description('The geography in which data is stored.')
param dataLocation string

@description('Your own domain; empty: an Azure-managed domain.')
param domain string

@description('Whether the DNS records of your own domain are verified; an unverified domain cannot be linked.')
param domainVerified bool

var emailOwner = '09976791-48a7-449e-bb21-39d1a415f350' // Communication and Email Service Owner

resource email 'Microsoft.Communication/emailServices@2023-04-01' = {
  name: 'email-${name}'
  location: 'global'
  properties: { dataLocation: dataLocation }
}

resource sender 'Microsoft.Communication/emailServices/domains@2023-04-01' = {
  parent: email
  name: empty(domain) ? 'AzureManagedDomain' : domain
  location: 'global'
  properties: {
    domainManagement: empty(domain) ? 'AzureManaged' : 'CustomerManaged'
    // Tracking would disclose every clicked link, which is a secret.
    userEngagementTracking: 'Disabled'
  }
}

resource communication 'Microsoft.Communication/communicationServices@2023-04-01' = {
  name: 'acs-${name}'
  location: 'global'
  properties: {
    dataLocation: dataLocation
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

@description('The endpoint that accepts email.')
output endpoint string = 'https://${communication.properties.hostName}'

@description('The sender of emails.')
output sender string = 'DoNotReply@${sender.properties.mailFromSenderDomain}'
