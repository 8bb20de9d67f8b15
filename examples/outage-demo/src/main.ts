console.error('the demo is being written');
