// The private endpoint of one service, and its DNS name in the network.

@description('The name of the endpoint.')
param name string

@description('The location.')
param location string

@description('The resource id of the service.')
param target string

@description('The sub-resource of the service.')
param group string

@description('The private DNS zone of its name.')
param zone string

@description('The network that resolves the name.')
param networkId string

@description('The subnet of the endpoint.')
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
