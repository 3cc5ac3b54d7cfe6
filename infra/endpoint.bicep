// One service's private endpoint, and its name in the network.

@description('The endpoint\'s name.')
param name string

@description('Where.')
param location string

@description('The service.')
param target string

@description('Which part of it.')
param group string

@description('The zone that its name is in.')
param zone string

@description('The network that sees the name.')
param networkId string

@description('The subnet that the endpoint is in.')
param subnetId string

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = {
  name: name
  location: location
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: group
        properties: {
          privateLinkServiceId: target
          groupIds: [group]
        }
      }
    ]
  }

  resource names 'privateDnsZoneGroups' = {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: group
          properties: { privateDnsZoneId: dns.id }
        }
      ]
    }
  }
}

resource dns 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: zone
  location: 'global'

  resource link 'virtualNetworkLinks' = {
    name: 'gate'
    location: 'global'
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
}
