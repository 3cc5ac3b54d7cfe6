// Mail by Azure Communication Services. A resource of its own, since no built-in role only sends.

@description('What names end with.')
param name string

@description('The gate\'s identity.')
param principalId string

@description('Where data is kept.')
param dataLocation string

@description('Your own domain, or empty for one of Azure\'s.')
param domain string

@description('Whether your own domain\'s records are verified; one that is not cannot be linked.')
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
    // It would hand every link that is clicked, a secret, to others.
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

@description('Where mail is handed over.')
output endpoint string = 'https://${communication.properties.hostName}'

@description('Who mails are from.')
output sender string = 'DoNotReply@${sender.properties.mailFromSenderDomain}'
