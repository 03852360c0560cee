function e(e,n){let r=e,i=!1;if(n)try{r=JSON.stringify(JSON.parse(e),null,2),i=!0}catch{}return{text:r,offsets:t(r),isJson:i}}function t(e){let t=[0];for(let n=e.indexOf(`
`);n!==-1;n=e.indexOf(`
`,n+1))t.push(n+1);return t.push(e.length+1),Uint32Array.from(t)}addEventListener(`message`,t=>{let n=e(t.data.text,t.data.pretty);postMessage(n,{transfer:[n.offsets.buffer]})});