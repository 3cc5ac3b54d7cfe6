// The private endpoint of one service, and its DNS name in the network.

@description('The name of the endpoint.')
param name string

@description('The location.')
param location string

@description('The tags of each resource.')
param tags { *: string }

@description('The resource id of the service.')
param target string

@description('The sub-resource of the service.')
param group string

@description('The private DNS zone of its name.')
param zone string

@description('Where that zone is: `create` makes it here, `none` leaves it to a policy, else the id of its resource group.')
param zones string

@description('The network that resolves the name.')
param networkId string

@description('The subnet of the endpoint.')
param subnetId string

resource endpoint 'Microsoft.Network/privateEndpoints@2025-09-01' = {
  name: name
  location: location
  tags: tags
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

  resource names 'privateDnsZoneGroups' = if (zones != 'none') {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: group
          properties: {
            privateDnsZoneId: zones == 'create'
              ? dns.id
              : '${zones}/providers/Microsoft.Network/privateDnsZones/${zone}'
          }
        }
      ]
    }
  }
}

resource dns 'Microsoft.Network/privateDnsZones@2024-06-01' = if (zones == 'create') {
  name: zone
  location: 'global'
  tags: tags

  resource link 'virtualNetworkLinks' = {
    name: 'gate'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
}
