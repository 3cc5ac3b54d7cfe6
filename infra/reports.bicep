// What became of emails: Communication Services tell Event Grid, which calls the gate. Event Grid asks the gate for its
// consent when the subscription is made, so the package must be published before.

@description('The suffix of resource names.')
param name string

@description('The tags of each resource.')
param tags { *: string }

@description('The id of the Communication Services.')
param communicationId string

@description('The name of the app.')
param appName string

@description('The address of the gate.')
param baseUrl string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName

  resource delivery 'functions' existing = {
    name: 'delivery'
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: 'evgt-${name}'
  location: 'global'
  tags: tags
  properties: {
    source: communicationId
    topicType: 'Microsoft.Communication.CommunicationServices'
  }
}

resource subscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'delivery'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'WebHook'
      properties: {
        // The key of this function alone, which the host makes; it opens no other.
        endpointUrl: '${baseUrl}/api/delivery?code=${app::delivery.listKeys().default}'
        // The gate takes 50 events and 64 KiB a call.
        maxEventsPerBatch: 10
        preferredBatchSizeInKilobytes: 32
      }
    }
    // Not what is opened or clicked, which counts for nothing.
    filter: { includedEventTypes: ['Microsoft.Communication.EmailDeliveryReportReceived'] }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
  }
}
